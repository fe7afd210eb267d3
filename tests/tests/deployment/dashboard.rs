//! The dashboard and the alerts, as shipped: what they ask can be asked, and the alerts fire when they should.

use std::path::{Path, PathBuf};
use std::process::Command;

use polaris2istio_tests::servers::{self, Directory};
use serde_json::{Value, json};

/// What Grafana puts in place of its variables, or could.
const VARIABLES: [(&str, &str); 2] = [("$__rate_interval", "5m"), ("$job", ".+")];

fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

/// What promtool says; an error where it ends with one.
fn promtool(promtool: &Path, arguments: [&str; 3], directory: &Path) -> Result<String, String> {
    let output = Command::new(promtool).args(arguments).current_dir(directory).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[test]
fn alerts_fire_when_they_should() {
    let Some(tool) = servers::promtool() else { return };
    for arguments in [["check", "rules", "rules.yaml"], ["test", "rules", "rules.test.yaml"]] {
        promtool(tool, arguments, &shipped("prometheus")).unwrap();
    }
}

#[test]
fn what_the_dashboard_asks_can_be_asked() {
    let Some(tool) = servers::promtool() else { return };
    let text = std::fs::read_to_string(shipped("grafana/polaris2istio.json")).unwrap();
    let mut expressions = Vec::new();
    collect(&serde_json::from_str(&text).unwrap(), &mut expressions);
    assert!(expressions.len() > 20, "{expressions:?}");
    let left: Vec<_> = expressions.iter().filter(|expression| expression.contains('$')).collect();
    assert!(left.is_empty(), "variables that are not known here: {left:?}");
    let checked = check(tool, &expressions);
    let said = checked.unwrap();
    assert!(said.contains(&format!("{} rules found", expressions.len())), "{said}");
    assert!(check(tool, &["sum(rate(x[5m])".into()]).is_err(), "one that does not parse is found");
}

/// The expressions in a dashboard, with something in place of its variables.
fn collect(value: &Value, expressions: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let expression = fields.get("expr").and_then(Value::as_str);
            expressions.extend(expression.map(|text| {
                VARIABLES.iter().fold(text.to_owned(), |text, (variable, value)| text.replace(variable, value))
            }));
            fields.values().for_each(|value| collect(value, expressions));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, expressions)),
        _ => {}
    }
}

/// Has promtool read them as rules. JSON is YAML.
fn check(tool: &Path, expressions: &[String]) -> Result<String, String> {
    let rule = |(number, expression): (usize, &String)| json!({"record": format!("e{number}"), "expr": expression});
    let rules: Vec<_> = expressions.iter().enumerate().map(rule).collect();
    let directory = Directory::new("dashboard");
    directory.write("rules.yaml", json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string());
    promtool(tool, ["check", "rules", "rules.yaml"], directory.path())
}
