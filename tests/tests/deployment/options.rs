//! The chart's options beside what runs: alerts, a dashboard, another way to scrape, and `helm test`; and what it refuses.

use std::path::Path;

use polaris2istio_tests::servers::{self, Manifests};
use serde_json::{Value, json};

fn shipped(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)).unwrap()
}

/// The alerts and the dashboard are those that are shipped, whatever stands in them that Helm could take for its own.
#[test]
fn alerts_and_dashboard_are_those_that_are_shipped() {
    let Some(binaries) = servers::binaries_with_helm() else { return };
    let one = |template: &str, setting: &str| -> Value {
        Manifests::template(binaries, template, &[setting]).unwrap().0.remove(0)
    };
    let rule = one("templates/prometheus-rule.yaml", "prometheusRule.enabled=true");
    let rules: Value = serde_saphyr::from_str(&shipped("prometheus/rules.yaml")).unwrap();
    assert_eq!((&rule["kind"], &rule["spec"]), (&json!("PrometheusRule"), &rules));
    let dashboard = one("templates/dashboard.yaml", "dashboard.enabled=true");
    let read = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let held = read(dashboard["data"]["polaris2istio.json"].as_str().unwrap());
    assert_eq!(held, read(&shipped("grafana/polaris2istio.json")));
    assert_eq!(dashboard["metadata"]["labels"]["grafana_dashboard"], "1");
    let monitor = one("templates/pod-monitor.yaml", "podMonitor.enabled=true");
    assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["relabelings"][0]["replacement"], "polaris2istio");
    assert!(Manifests::template(binaries, "templates/pod-monitor.yaml", &[]).is_err(), "nobody asked for it");
}

/// The test's pod has the account, the flags and the files of the controller's, and none of its labels.
#[test]
fn the_test_is_as_the_controller() {
    let Some(binaries) = servers::binaries_with_helm() else { return };
    let settings = ["polaris.tokenSecret.name=token", "polaris.tlsSecret.name=tls", "names.mode=records"];
    let render = |template: &str| Manifests::template(binaries, template, &settings).unwrap().0.remove(0);
    let (pod, deployment) = (render("templates/tests/check.yaml"), render("templates/deployment.yaml"));
    let template = &deployment["spec"]["template"];
    assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
    let (own, controllers) = (&pod["spec"], &template["spec"]);
    for field in ["serviceAccountName", "securityContext", "enableServiceLinks"] {
        assert_eq!(own[field], controllers[field], "{field}");
    }
    for field in ["env", "image", "securityContext", "resources"] {
        assert_eq!(own["containers"][0][field], controllers["containers"][0][field], "{field}");
    }
    let files = |spec: &Value| {
        let volumes = spec["volumes"].as_array().unwrap().iter();
        volumes.filter(|volume| volume["emptyDir"].is_null()).cloned().collect::<Vec<_>>()
    };
    assert_eq!(files(own), files(controllers));
    assert_eq!(own["containers"][0]["args"], json!(["check"]));
    let selector = deployment["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(!selector.iter().all(|(key, value)| pod["metadata"]["labels"][key] == *value), "it is none of its pods");
}

#[test]
fn what_is_mistyped_is_refused() {
    let Some(binaries) = servers::binaries_with_helm() else { return };
    for (setting, words) in [
        ("polaris.adress=a:1", "'adress' not allowed"),
        ("polaris=a:1", "/polaris"),
        ("polaris.address=", "/polaris/address"),
        ("replica=2", "'replica' not allowed"),
        ("replicas=two", "/replicas"),
        ("names.mode=record", "/names/mode"),
        ("prometheusRule.enable=true", "'enable' not allowed"),
        ("entriesNamespace=Mesh", "/entriesNamespace"),
    ] {
        let error = Manifests::template(binaries, "templates/deployment.yaml", &[setting]).unwrap_err();
        assert!(error.contains(words), "{setting}: {error}");
    }
}

/// The table in the document has every value of the chart, with its default.
#[test]
fn the_document_has_every_value() {
    let values: Value = serde_saphyr::from_str(&shipped("helm/values.yaml")).unwrap();
    let schema: Value = serde_json::from_str(&shipped("helm/values.schema.json")).unwrap();
    let mut names = Vec::new();
    collect("", &values, &schema["properties"], &mut names);
    let document = shipped("docs/values.md");
    let rows: Vec<_> = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | ")).collect();
    let known: Vec<_> = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(known, names.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), "deploy/docs/values.md");
    for ((name, default), (_, row)) in names.iter().zip(&rows) {
        assert!(row.starts_with(&format!("`{default}` | ")), "deploy/docs/values.md: {name} is `{default}`, not {row}");
    }
}

/// The values by name, down to those that the schema knows no parts of.
fn collect(prefix: &str, values: &Value, schema: &Value, names: &mut Vec<(String, Value)>) {
    for (key, value) in values.as_object().unwrap() {
        let (name, parts) = (format!("{prefix}{key}"), &schema[key]["properties"]);
        match parts.is_object() {
            true => collect(&format!("{name}."), value, parts, names),
            false => names.push((name, value.clone())),
        }
    }
}
