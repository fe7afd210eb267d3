//! Input that cannot be used: it is named with its remedy, once, and costs only what it concerns.

use serde_json::json;

use super::fixture::{Bench, answer, entry};

/// A bench with one good entry and something bad; the good one must be served, and the log must say all of `texts`.
#[track_caller]
fn check(bad: impl Fn(&Bench), texts: &[&str]) {
    let bench = Bench::new();
    bench.answer("good", &[("10.0.0.1", 100)]);
    bench.entry("good", json!({}));
    bad(&bench);
    let running = bench.start(&[]);
    bench.expect("good", &["10.0.0.1"]);
    for text in texts {
        running.expect_log(text);
    }
    // A further change is a further look at everything: what was said is not said again.
    bench.answer("good", &[("10.0.0.2", 100)]);
    bench.expect("good", &["10.0.0.2"]);
    for text in texts {
        assert_eq!(running.count(text), 1, "`{text}` is said once: {}", running.log());
    }
}

#[test]
fn entries() {
    check(|bench| bench.write("entries/a.yaml", "kind: [ServiceEntry"), &["a.yaml: not valid YAML"]);
    check(|bench| bench.write("entries/a.yaml", [0xff, 0xfe]), &["a.yaml: not UTF-8 text (byte 0)"]);
    let unversioned = entry("a", json!({})).to_string().replace("networking.istio.io/v1", "networking.istio.io/v9");
    check(
        |bench| bench.write("entries/a.yaml", &unversioned),
        &["document 1: apiVersion: `networking.istio.io/v9` is none of"],
    );
    let nameless = entry("a", json!({})).to_string().replace("\"name\":\"a\"", "\"name\":\"\"");
    check(|bench| bench.write("entries/a.yaml", &nameless), &["metadata.name: missing"]);
    let mistyped = entry("a", json!({})).to_string().replace("\"number\":80", "\"number\":\"eighty\"");
    check(|bench| bench.write("entries/a.yaml", &mistyped), &["spec.ports[0].number: invalid type: string \"eighty\""]);
    let copy = entry("good", json!({})).to_string();
    check(|bench| bench.write("entries/z.yaml", &copy), &["hold the same entry; the first one counts"]);
}

#[test]
fn annotations() {
    let bad = |key: &'static str, value: &'static str| {
        move |bench: &Bench| {
            bench.answer("a", &[("10.0.0.9", 100)]);
            bench.entry("a", json!({ key: value }));
        }
    };
    check(bad("aeraki.net/polarisService", ""), &["aeraki.net/polarisService is missing or empty"]);
    check(bad("aeraki.net/external", "maybe"), &["code=\"location-invalid\""]);
}

#[test]
fn answers() {
    let followed = |bench: &Bench| bench.entry("a", json!({}));
    let whole = answer("a", &[("10.0.0.9", 100)]).to_string();
    let truncated = whole[..whole.len() / 2].to_owned();
    check(
        |bench| {
            followed(bench);
            bench.write("answers/a.json", &truncated);
        },
        &["it ends too early"],
    );
    let nulls = json!({"code": 200000, "info": null, "type": "INSTANCE", "service": {"namespace": "default", "name": "a", "revision": null},
        "instances": [{"id": null, "host": null, "port": null, "protocol": null, "weight": null, "healthy": null, "isolate": null,
                       "location": null, "metadata": null}]});
    check(
        |bench| {
            followed(bench);
            bench.write("answers/a.json", nulls.to_string());
        },
        &["code=\"instance-"],
    );
    let hosts: Vec<String> = (0..5000).map(|number| format!("10.1.{}.{}", number / 250, number % 250 + 1)).collect();
    let many: Vec<(&str, u32)> = hosts.iter().map(|host| (host.as_str(), 100)).collect();
    check(
        |bench| {
            followed(bench);
            bench.answer("a", &many);
        },
        &["5000 endpoints, and a ServiceEntry holds 4096"],
    );
}

#[test]
fn a_bad_answer_leaves_the_last_endpoints() {
    let bench = Bench::new();
    bench.answer("a", &[("10.0.0.1", 100)]);
    bench.entry("a", json!({}));
    let running = bench.start(&["--empty-hold", "0s"]);
    bench.expect("a", &["10.0.0.1"]);
    bench.write("answers/a.json", "{\"code\": 200000, \"instances\": [");
    running.expect_log("a.json");
    assert_eq!(bench.addresses("a").unwrap(), ["10.0.0.1"]);
    bench.answer("a", &[("10.0.0.2", 100)]);
    bench.expect("a", &["10.0.0.2"]);
}

#[test]
fn a_bad_edit_of_an_entry_leaves_it_in_force() {
    let bench = Bench::new();
    bench.answer("a", &[("10.0.0.1", 100)]);
    bench.entry("a", json!({}));
    let running = bench.start(&[]);
    bench.expect("a", &["10.0.0.1"]);
    bench.write("entries/a.yaml", "kind: [ServiceEntry");
    running.expect_log("the last good content of this file stays in force");
    bench.answer("a", &[("10.0.0.2", 100)]);
    bench.expect("a", &["10.0.0.2"]);
}

#[test]
fn directories() {
    let missing = |name: &str| {
        let bench = Bench::new();
        std::fs::remove_dir(bench.path(name)).unwrap();
        bench.once(&[])
    };
    let (code, log) = missing("answers");
    assert!(code == 1 && log.contains("answers") && log.contains("create it"), "{code} {log}");
    let (code, log) = missing("entries");
    assert!(code == 1 && log.contains("entries") && log.contains("create it"), "{code} {log}");
    assert_eq!(missing("out").0, 0, "the output directory is created");
    let bench = Bench::new();
    std::fs::remove_dir(bench.path("out")).unwrap();
    bench.write("out", "a file");
    let (code, log) = bench.once(&[]);
    assert!(
        code == 1 && log.contains("output directory") && log.contains("let this process write to it"),
        "{code} {log}"
    );
}
