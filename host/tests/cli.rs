//! The command line as the operator meets it: help, wrong usage, the offline verbs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod support;

use std::path::{Path, PathBuf};

use support::{check, json};

fn example(name: &str) -> String {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/example");
    root.join(name).display().to_string()
}

#[test]
fn help_teaches_by_example() {
    check(
        &["--help"],
        0,
        &["Examples:", "polaris2istio --polaris-address polaris.example.com:8091", "POLARIS2ISTIO_EMPTY_HOLD"],
        &[],
    );
    check(&["convert", "--help"], 0, &["Examples:", "polaris2istio convert --entry"], &[]);
    check(&["explain", "--help"], 0, &["Examples:", "polaris2istio explain --entry"], &[]);
}

#[test]
fn wrong_usage_is_2() {
    check(&[], 2, &[], &["--polaris-address"]);
    check(&["--nonsense"], 2, &[], &["--nonsense"]);
    check(&["--answers", "a", "--entries", "b"], 2, &[], &["--output"]);
    check(&["--answers", "a", "--empty-hold", "soon"], 2, &[], &["5m", "never"]);
    check(&["--answers", "a", "--log", "=="], 2, &[], &["--log"]);
}

#[test]
fn what_cannot_be_used_is_1_with_a_remedy() {
    check(&["--polarisAddress", "ftp://127.0.0.1:8091"], 1, &[], &["ftp://127.0.0.1:8091", "grpc://"]);
    check(
        &["-polarisAddress", "127.0.0.1:8091", "-kubeconfig", "/none", "-mode=1"],
        1,
        &[],
        &["--mode means nothing", "/none"],
    );
    check(&["--polaris-address", "127.0.0.1:8091", "--context", "c"], 1, &[], &["no access to a Kubernetes cluster"]);
    check(&["--polaris-address", "127.0.0.1:1"], 1, &[], &["no access to a Kubernetes cluster", "set KUBECONFIG"]);
    let directory = tempfile::tempdir().unwrap();
    let (here, out) = (directory.path().to_str().unwrap(), directory.path().join("out"));
    let entries = directory.path().join("entries");
    std::fs::create_dir(&entries).unwrap();
    let directories = ["--answers", here, "--entries", entries.to_str().unwrap(), "--output", out.to_str().unwrap()];
    check(&[&directories[..], &["--module", "/nonexistent.wasm"]].concat(), 1, &[], &["/nonexistent.wasm"]);
    check(&[&directories[..], &["--socket", "/nonexistent/socket"]].concat(), 1, &[], &["give --socket a path"]);
    check(&[&directories[..], &["--state", "file:/nonexistent/state"]].concat(), 1, &[], &["give --state a path"]);
    check(&[&directories[..], &["--module-params", "/nonexistent.yaml"]].concat(), 1, &[], &["/nonexistent.yaml"]);
}

#[test]
fn converts_offline() {
    let (entry, answer) = (example("entries/reviews.yaml"), example("answers/reviews.json"));
    let arguments = ["convert", "--entry", &entry, "--answer", &answer];
    check(&arguments, 0, &["address: \"10.1.0.11\"", "location: MESH_INTERNAL"], &["instance-isolated"]);
    let object = json(&arguments, 0);
    assert_eq!(object["spec"]["endpoints"].as_array().unwrap().len(), 2);
}

#[test]
fn explains_offline() {
    let (entry, answer) = (example("entries/reviews.yaml"), example("answers/reviews.json"));
    let arguments = ["explain", "--entry", &entry, "--answer", &answer];
    check(&arguments, 0, &["polaris/reviews <- default/reviews: converted", "left out", "instance-isolated"], &[]);
    let fates = json(&arguments, 0);
    let left_out = fates["instances"].as_array().unwrap().iter().filter(|fate| fate["endpoint"].is_null()).count();
    assert_eq!(left_out, 1);
}

#[test]
fn explains_names() {
    let (entry, answer) = (example("entries/reviews.yaml"), example("answers/reviews.json"));
    let arguments = ["explain", "--entry", &entry, "--answer", &answer, "--dns", "records"];
    check(&arguments, 0, &["warning dns-no-address: host dev.reviews.polaris: no record"], &[]);
    check(&[&arguments[..6], &["endpoints"]].concat(), 0, &["dns-no-endpoint"], &[]);
    check(&arguments[..5], 0, &["converted"], &[]);
}

#[test]
fn names_need_a_cluster() {
    let files = ["--answers", "a", "--entries", "b", "--output", "c"];
    check(&[&files[..], &["--dns", "records"]].concat(), 2, &[], &["--dns"]);
    check(&[&files[..], &["--repair-vip"]].concat(), 2, &[], &["--repair-vip"]);
}

#[test]
fn refuses_an_answer_of_another_service() {
    let (entry, answer) = (example("entries/reviews.yaml"), example("answers/orders.json"));
    check(
        &["convert", "--entry", &entry, "--answer", &answer],
        1,
        &[],
        &["is about default/orders", "names default/reviews"],
    );
}

/// An entry and an answer in files, with the arguments of a verb that name them.
struct Offline {
    directory: tempfile::TempDir,
}

impl Offline {
    fn new(change: impl Fn(&mut serde_json::Value, &mut serde_json::Value)) -> Self {
        let mut entry = serde_json::json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": "shop", "namespace": "polaris", "labels": {"manager": "aeraki", "registry": "polaris"},
                "annotations": {"aeraki.net/polarisNamespace": "default", "aeraki.net/polarisService": "shop"}},
            "spec": {"hosts": ["dev.shop.polaris"], "resolution": "STATIC", "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}]},
        });
        let instance = |host: &str, port: u32| serde_json::json!({"id": format!("{host}-{port}"), "host": host, "port": port, "protocol": "http"});
        let mut answer = serde_json::json!({
            "code": 200000, "service": {"namespace": "default", "name": "shop", "revision": "r"},
            "instances": [instance("10.0.0.10", 8081), instance("10.0.0.9", 8080), instance("10.0.0.10", 8080)],
        });
        change(&mut entry, &mut answer);
        let offline = Self { directory: tempfile::tempdir().unwrap() };
        offline.write("entry.yaml", entry.to_string());
        offline.write("answer.json", answer.to_string());
        offline
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// Runs a verb on them.
    #[track_caller]
    fn check(&self, verb: &str, code: i32, stdout: &[&str], stderr: &[&str]) -> String {
        let (entry, answer) = (self.path("entry.yaml"), self.path("answer.json"));
        check(&[verb, "--entry", &entry, "--answer", &answer], code, stdout, stderr)
    }

    /// Both verbs say these texts, `explain` on stdout and `convert` on stderr.
    #[track_caller]
    fn both(&self, code: i32, texts: &[&str]) {
        self.check("explain", code, texts, &[]);
        self.check("convert", code, &[], texts);
    }
}

#[test]
fn what_the_controller_passes_over_or_does_not_write_is_said() {
    let labels = |labels: serde_json::Value| Offline::new(move |entry, _| entry["metadata"]["labels"] = labels.clone());
    let none = "passes the entry over: it lacks the labels `manager: aeraki` and `registry: polaris`; add them";
    labels(serde_json::Value::Null).both(0, &[none]);
    labels(serde_json::json!({"manager": "Aeraki", "registry": "polaris"}))
        .both(0, &["it lacks the labels `manager: aeraki` (it is `Aeraki`); add them"]);
    labels(serde_json::Value::Null).check("explain", 0, &["polaris/shop <- default/shop: passed over"], &[]);
    Offline::new(|entry, _| entry["metadata"]["namespace"] = "mesh".into())
        .both(0, &["it is in namespace `mesh`, and `polaris` is served"]);
    let annotated = |key: &'static str, value: &'static str| {
        Offline::new(move |entry, _| entry["metadata"]["annotations"][key] = value.into())
    };
    annotated("aeraki.net/paused", "true").both(0, &["paused: nothing is written"]);
    for (key, value) in [
        ("aeraki.net/paused", "yes"),
        ("aeraki.net/emptyHold", "10"),
        ("aeraki.net/removalHold", "soon"),
        ("aeraki.net/moduleRemovalLimit", "many"),
    ] {
        annotated(key, value).both(0, &[&format!("annotation-unreadable: annotation {key}: `{value}`")]);
    }
}

#[test]
fn the_guard_has_its_say() {
    let endpoints = serde_json::json!([{"address": "10.0.0.1", "ports": {"http": 8080}, "weight": 100}]);
    let emptied = Offline::new(|entry, answer| {
        entry["spec"]["endpoints"] = endpoints.clone();
        answer["instances"] = serde_json::json!([]);
    });
    emptied.both(0, &["held: 1 endpoint of the entry is held for 5m: the service lists no instance any more"]);
    emptied.check("convert", 0, &["address: \"10.0.0.1\""], &[]);
    let said = emptied.check("explain", 0, &["converted, with endpoints held"], &[]);
    assert!(!said.contains("has no endpoints"), "{said}");
    let own = Offline::new(|entry, _| entry["metadata"]["annotations"]["aeraki.net/emptyHold"] = "never".into());
    own.check(
        "explain",
        0,
        &["info guard: if its endpoints vanish later", "without end where the service lists none"],
        &[],
    );
}

/// An instance that a parameter leaves out goes on purpose, here as in the controller.
#[test]
fn what_a_parameter_leaves_out_is_not_held() {
    let excluded = Offline::new(|entry, answer| {
        let endpoint = |address: &str| serde_json::json!({"address": address, "ports": {"http": 8080}, "weight": 100});
        entry["spec"]["endpoints"] = serde_json::json!([endpoint("10.0.0.9"), endpoint("10.0.0.10")]);
        answer["instances"][1]["metadata"] = serde_json::json!({"from": "here"});
    });
    let (entry, answer) = (excluded.path("entry.yaml"), excluded.path("answer.json"));
    let arguments = ["explain", "--entry", &entry, "--answer", &answer, "--module-param", "exclude-metadata=from=here"];
    let said = check(&arguments, 0, &["instance-excluded"], &[]);
    assert!(!said.contains("of the entry are held"), "{said}");
}

#[test]
fn a_missing_service_is_called_that() {
    let missing = Offline::new(|_, answer| {
        *answer =
            serde_json::json!({"code": 400202, "service": {"namespace": "default", "name": "shop"}, "instances": []});
    });
    let said = "service-missing: the registry has no such service as `default/shop`. Check the annotations aeraki.net/polarisNamespace";
    missing.both(0, &[said]);
    assert!(!missing.check("explain", 0, &["(does not exist)"], &[]).contains("lists no instance of"));
}

#[test]
fn faults_of_the_entry_are_the_entrys() {
    let port = |name: &str, number: u32| serde_json::json!({"name": name, "number": number, "protocol": "HTTP"});
    let ports = |ports: serde_json::Value| Offline::new(move |entry, _| entry["spec"]["ports"] = ports.clone());
    let words =
        "error: the entry itself breaks a rule: spec.ports[1].number: port `web` has number 80, as port `http` has";
    let twice = ports(serde_json::json!([port("http", 80), port("web", 80)]));
    twice.check("explain", 1, &["not written: the entry is left as it is"], &[words]);
    twice.check("convert", 1, &[], &[words]);
    ports(serde_json::json!([port("http", 80), port("http", 81)])).check(
        "convert",
        1,
        &[],
        &["spec.ports[1].name: `http` is the name"],
    );
    let text = Offline::new(|_, _| {});
    let whole = std::fs::read_to_string(text.path("entry.yaml")).unwrap();
    text.write("entry.yaml", whole.replacen("\"kind\"", "\n\"kind\":\"x\",\n\"kind\"", 1));
    text.check(
        "convert",
        1,
        &[],
        &["entry.yaml: not valid YAML: line 3, column 1: the key `kind` is there twice; remove one"],
    );
    text.write("entry.yaml", format!("\u{feff}{whole}"));
    let answer = std::fs::read_to_string(text.path("answer.json")).unwrap();
    text.write("answer.json", format!("\u{feff}{answer}"));
    text.check("convert", 0, &["10.0.0.9"], &[]);
    text.write(
        "entry.yaml",
        format!("{{\"apiVersion\": \"networking.istio.io/v1\", \"kind\": \"ServiceEntryList\", \"items\": [{whole}]}}"),
    );
    text.check("convert", 0, &["10.0.0.9"], &[]);
    text.write("answer.json", [0xff, 0xfe, b'{', 0]);
    text.check("convert", 1, &[], &["but UTF-16; save it as UTF-8"]);
}

#[test]
fn instances_of_one_address_stand_together() {
    let said = Offline::new(|_, _| {}).check("explain", 0, &[], &[]);
    let places: Vec<_> =
        said.lines().filter(|line| line.contains("http weight")).filter(|line| !line.contains("becomes")).collect();
    let found: Vec<_> = places.iter().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(found, ["10.0.0.9:8080", "10.0.0.10:8080", "10.0.0.10:8081"], "{said}");
}

#[test]
fn a_cause_is_told_once_and_a_closed_pipe_is_no_error() {
    let (entry, answer) = (example("entries/reviews.yaml"), example("answers/reviews.json"));
    let output = support::run(&["convert", "--entry", "/nonexistent.yaml", "--answer", &answer]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.matches("No such file or directory").count(), 1, "{said}");
    for verb in ["convert", "explain"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_polaris2istio"));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let command = command.args([verb, "--entry", &entry, "--answer", &answer]).stdout(writer);
        let output = command.stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !said.contains("error"), "{verb}: {said}");
    }
}
