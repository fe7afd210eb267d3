//! Policies among the files of entries: what they make appears in the output, and no accident takes it away.

use serde_json::{Value, json};

use super::fixture::{Bench, Running, entry, wait};

const SERVICES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn policy(change: Value) -> String {
    let mut policy = json!({
        "apiVersion": "polaris2istio.aeraki.net/v1alpha1",
        "kind": "PolarisImport",
        "metadata": {"name": "shop"},
        "spec": {"polarisNamespace": "default", "template": {"hosts": ["{service}.polaris"], "labels": {"team": "shop"}}},
    });
    for (pointer, value) in change.as_object().unwrap() {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        policy.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    policy.to_string()
}

fn address(number: usize) -> String {
    format!("10.0.0.{}", number + 1)
}

/// A policy, a service for each name, and a controller that made their entries.
fn bench(change: Value) -> (Bench, Running) {
    let bench = Bench::new();
    for (number, service) in SERVICES.iter().enumerate() {
        bench.answer(service, &[(&address(number), 100)]);
    }
    bench.write("entries/shop.yaml", policy(change));
    let running = start(&bench);
    for (number, service) in SERVICES.iter().enumerate() {
        bench.expect(service, &[&address(number)]);
    }
    (bench, running)
}

fn start(bench: &Bench) -> Running {
    bench.start(&["--policies", "--empty-hold", "0s"])
}

fn outputs(bench: &Bench) -> Vec<Option<Value>> {
    SERVICES.iter().map(|service| bench.output(service)).collect()
}

#[track_caller]
fn expect_gone(bench: &Bench, service: &str) {
    wait(&format!("{service} is gone"), || bench.output(service).map_or(Ok(()), |output| Err(output.to_string())));
}

/// Something happens to a controller with made entries. It says this, and all of them stay as they are.
#[track_caller]
fn check_stays(change: impl Fn(&Bench), says: &str) {
    let (bench, running) = bench(json!({}));
    let before = outputs(&bench);
    change(&bench);
    running.expect_log(says);
    assert_eq!(outputs(&bench), before, "{}", running.log());
}

#[test]
fn entries_are_made_beside_those_by_hand() {
    let (bench, running) = bench(json!({}));
    let made = bench.output("a").unwrap();
    assert_eq!(made["spec"]["hosts"], json!(["a.polaris"]));
    assert_eq!(made["metadata"]["labels"], json!({"manager": "aeraki", "registry": "polaris", "team": "shop"}));
    assert_eq!(made["metadata"]["annotations"]["polaris2istio.aeraki.net/policy"], "shop");
    // Both at once, and the policy has not seen the service before.
    bench.entry("hand", json!({}));
    bench.answer("hand", &[("10.0.1.1", 100)]);
    bench.answer("Upper", &[("10.0.1.2", 100)]);
    bench.expect("hand", &["10.0.1.1"]);
    wait("a name is made one", || {
        let files: Vec<_> = bench.path("out").read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
        let made = files.iter().any(|name| name.to_str().unwrap().starts_with("polaris.upper-"));
        if made { Ok(()) } else { Err(format!("{files:?}")) }
    });
    assert!(bench.output("hand").unwrap()["metadata"]["annotations"].get("polaris2istio.aeraki.net/policy").is_none());
    // A template that changes changes all, and takes no endpoint.
    bench.write("entries/shop.yaml", policy(json!({"/spec/template/labels": {"team": "other"}})));
    wait("the label is another one", || match bench.output("f").unwrap()["metadata"]["labels"]["team"].as_str() {
        Some("other") => Ok(()),
        found => Err(format!("{found:?}")),
    });
    bench.expect("f", &["10.0.0.6"]);
    drop(running);
}

#[test]
fn accidents_take_nothing() {
    let mistyped = policy(json!({"/spec/select": {"names": ["x*"]}}));
    check_stays(|bench| bench.write("entries/shop.yaml", &mistyped), "policy is not ready, PruningHeld");
    let unknown = policy(json!({"/spec/selct": {"names": ["a"]}}));
    check_stays(|bench| bench.write("entries/shop.yaml", &unknown), "Invalid: spec.selct: there is no such field");
    check_stays(|bench| bench.write("entries/shop.yaml", "kind: ["), "the last good content of this file stays");
    let empty = policy(json!({"/spec/template": {"hosts": ["one.polaris"]}}));
    check_stays(|bench| bench.write("entries/shop.yaml", &empty), "Invalid: spec.template.hosts");
}

#[test]
fn a_registry_that_is_empty_prunes_nothing() {
    let (bench, running) = bench(json!({"/spec/prune": {"after": "1s"}}));
    for service in SERVICES {
        std::fs::remove_file(bench.path(&format!("answers/{service}.json"))).unwrap();
    }
    running.expect_log("the registry knows no namespace `default`, or nothing in it");
    assert!(outputs(&bench).iter().all(Option::is_some), "{}", running.log());
    // All that was lost but one: that is too much at once.
    bench.answer("a", &[("10.0.0.1", 100)]);
    running.expect_log("policy is not ready, PruningHeld: 5 of 6 entries");
    assert!(outputs(&bench).iter().all(Option::is_some), "{}", running.log());
}

#[test]
fn a_service_that_is_gone_loses_its_entry_after_a_while() {
    let (bench, running) = bench(json!({"/spec/prune": {"after": "1s"}}));
    std::fs::remove_file(bench.path("answers/a.json")).unwrap();
    expect_gone(&bench, "a");
    running.expect_log("policy: entry deleted");
    assert_eq!(outputs(&bench).iter().flatten().count(), 5);
    bench.answer("a", &[("10.0.0.9", 100)]);
    bench.expect("a", &["10.0.0.9"]);
}

#[test]
fn a_restart_changes_nothing() {
    let (bench, running) = bench(json!({}));
    let before = outputs(&bench);
    drop(running);
    let running = start(&bench);
    running.expect_log("6 entries are served");
    running.expect_log("6 services have their entries");
    assert_eq!(outputs(&bench), before);
    assert_eq!(running.count("policy: entry"), 0, "{}", running.log());
    drop(running);
    // The registry lost everything while nobody ran, and the file of the policy is gone.
    for service in SERVICES {
        std::fs::remove_file(bench.path(&format!("answers/{service}.json"))).unwrap();
    }
    std::fs::remove_file(bench.path("entries/shop.yaml")).unwrap();
    let running = bench.start(&["--policies"]);
    running.expect_log("6 entries are served");
    bench.answer("a", &[("10.0.0.7", 100)]);
    bench.expect("a", &["10.0.0.7"]);
    assert_eq!(&outputs(&bench)[1..], &before[1..], "{}", running.log());
    drop(running);
    // Made entries are served like all others, whoever carries policies out.
    bench.write("entries/shop.yaml", policy(json!({})));
    let running = bench.start(&[]);
    running.expect_log("a PolarisImport is carried out only with --policies");
    bench.answer("a", &[("10.0.0.8", 100)]);
    bench.expect("a", &["10.0.0.8"]);
}

#[test]
fn a_policy_that_is_deleted_leaves_its_entries_unless_it_says_otherwise() {
    let (bench, running) = bench(json!({}));
    std::fs::remove_file(bench.path("entries/shop.yaml")).unwrap();
    bench.answer("new", &[("10.0.0.1", 100)]);
    bench.answer("a", &[("10.0.0.7", 100)]);
    bench.expect("a", &["10.0.0.7"]);
    assert_eq!(outputs(&bench).iter().flatten().count(), 6);
    // A new policy of that name has them again.
    bench.write("entries/again.yaml", policy(json!({"/spec/onDelete": "Prune"})));
    bench.expect("new", &["10.0.0.1"]);
    bench.entry("hand", json!({}));
    bench.answer("hand", &[("10.0.1.1", 100)]);
    bench.expect("hand", &["10.0.1.1"]);
    std::fs::remove_file(bench.path("entries/again.yaml")).unwrap();
    SERVICES.iter().for_each(|service| expect_gone(&bench, service));
    expect_gone(&bench, "new");
    assert_eq!(bench.addresses("hand"), Some(vec!["10.0.1.1".into()]), "{}", running.log());
}

#[test]
fn an_entry_is_taken_over_by_a_file() {
    let (bench, running) = bench(json!({}));
    bench.write("entries/a.yaml", entry("a", json!({"team": "mine"})).to_string());
    running.expect_log("ServiceEntry a exists and is of no policy");
    wait("it is the file's", || match &bench.output("a").unwrap()["metadata"]["annotations"] {
        annotations if annotations["team"] == "mine" => Ok(()),
        annotations => Err(annotations.to_string()),
    });
    let output = bench.output("a").unwrap();
    assert!(output["metadata"]["annotations"].get("polaris2istio.aeraki.net/policy").is_none(), "{output}");
    assert_eq!(bench.addresses("a"), Some(vec!["10.0.0.1".into()]), "its endpoints stayed");
    // And what is taken away from the output is put back.
    std::fs::remove_file(bench.path("out/polaris.b.yaml")).unwrap();
    bench.expect("b", &["10.0.0.2"]);
    drop(running);
}
