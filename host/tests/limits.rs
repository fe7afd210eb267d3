//! Input that is too much, in every way that a text can be: it ends as an error, soon, and with little memory.
//!
//! The other limits are tested where they belong: answers over HTTP in `registry/failures.rs`, directories in
//! `registry/directory.rs`, modules and registries of modules in `module_source_*.rs` and `tests/tests/sandbox`, what an entry
//! may hold in `core/tests/limits.rs` and `tests/tests/golden/limits.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use polaris2istio::entries::Document;
use polaris2istio::registry::decode_answer;

/// Lists of lists: each line of YAML is ten times the one before.
fn bomb() -> String {
    let mut text =
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
    }
    text
}

#[test]
fn entries_are_bounded() {
    let deep = "[".repeat(100_000);
    let cases: [(&str, String, &str); 4] = [
        ("a bomb", bomb(), "not valid YAML"),
        ("lists in lists", format!("a: {deep}"), "not valid YAML"),
        ("maps in maps", "a: ".repeat(10_000), "not valid YAML"),
        ("a long text", "#".repeat(5 << 20), "5242880 bytes"),
    ];
    for (what, text, words) in cases {
        let error = Document::parse_all(text.as_bytes(), "text").unwrap_err().to_string();
        assert!(error.contains(words), "{what}: no `{words}` in: {error:.400}");
        assert!(error.len() < 4_096, "{what}: the message has {} bytes", error.len());
    }
}

#[test]
fn answers_are_bounded() {
    let deep = |open: &str| open.repeat(1_000_000);
    let unknown = |value: String| format!(r#"{{"code":200000,"unknown":{value}}}"#);
    for text in [deep("["), deep(r#"{"a":"#), unknown(deep("[")), unknown(deep(r#"{"a":"#))] {
        let error = decode_answer(text.as_bytes(), "text").unwrap_err().to_string();
        assert!(error.contains("text: ") && error.len() < 4_096, "{error:.400}");
    }
    // A server's own words are repeated in part.
    let chatty = format!(r#"{{"code":500001,"info":"{}"}}"#, "x".repeat(1 << 20));
    let error = decode_answer(chatty.as_bytes(), "text").unwrap_err().to_string();
    assert!(error.contains("500001") && error.len() < 1_024, "{error:.400}");
}
