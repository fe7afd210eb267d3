//! JSON for human readers: keys sorted, and whatever fits stands in one line.

use serde_json::Value;

const WIDTH: usize = 150;

/// The text of a value, with a newline at its end.
pub fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text.push('\n');
    text
}

/// Writes a value. `taken` is the width of the text that precedes it in its first line.
fn write(value: &Value, depth: usize, taken: usize, text: &mut String) {
    let line = inline(value);
    if 2 * depth + taken + line.len() < WIDTH || !(value.is_array() || value.is_object()) {
        text.push_str(&line);
        return;
    }
    let (open, close, parts) = match value {
        Value::Array(items) => ('[', ']', items.iter().map(|item| (String::new(), item)).collect::<Vec<_>>()),
        Value::Object(_) => ('{', '}', sorted(value)),
        _ => return,
    };
    text.push(open);
    for (position, (key, part)) in parts.iter().enumerate() {
        text.push_str(if position > 0 { ",\n" } else { "\n" });
        text.push_str(&"  ".repeat(depth + 1));
        text.push_str(key);
        write(part, depth + 1, key.len(), text);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push(close);
}

fn inline(value: &Value) -> String {
    let join = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Array(items) => format!("[{}]", join(items.iter().map(inline).collect())),
        Value::Object(map) if map.is_empty() => "{}".into(),
        Value::Object(_) => {
            let parts = sorted(value).into_iter().map(|(key, part)| format!("{key}{}", inline(part)));
            format!("{{ {} }}", join(parts.collect()))
        }
        scalar => scalar.to_string(),
    }
}

/// The order must not depend on the features of serde_json that some other crate asks for.
fn sorted(value: &Value) -> Vec<(String, &Value)> {
    let mut parts: Vec<_> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, part)| (format!("{}: ", Value::from(key.as_str())), part))
        .collect();
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    parts
}
