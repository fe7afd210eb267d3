//! A running controller as others see it: probes, metrics, the status; and a pause by the operator.

use polaris2istio_tests::servers::{self, Directory, User, free_port};
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::SOON;
use super::controller::Controller;
use super::entry::addresses;
use super::world::{World, writes};

/// Waits until `/readyz` answers so.
async fn until_ready(controller: &Controller, code: u16, words: &str) {
    wait_for(&format!("/readyz answers {code} {words}"), SOON, || async {
        let (status, text) = controller.get("/readyz").await;
        if status == code && text.contains(words) { Ok(()) } else { Err(format!("{status} {text}")) }
    })
    .await;
}

/// A series' value, by its name with its labels.
async fn metric(controller: &Controller, series: &str) -> f64 {
    let (status, text) = controller.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "OpenMetrics ends so");
    let prefix = format!("{series} ");
    let found = text.lines().find_map(|line| line.strip_prefix(&prefix));
    found.unwrap_or_else(|| panic!("{series} in\n{text}")).parse().unwrap()
}

async fn until_metric(controller: &Controller, series: &str, value: f64) {
    wait_for(&format!("{series} is {value}"), SOON, || async {
        let now = metric(controller, series).await;
        if now == value { Ok(()) } else { Err(now) }
    })
    .await;
}

async fn until_counted(controller: &Controller, series: &str) {
    wait_for(&format!("{series} counts"), SOON, || async {
        if metric(controller, series).await >= 1.0 { Ok(()) } else { Err("0") }
    })
    .await;
}

async fn status(controller: &Controller) -> Value {
    let (code, text) = controller.get("/status").await;
    assert_eq!(code, 200);
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn readiness_is_of_registry_and_watch() {
    let Some((world, _)) = World::shared("ready").await else { return };
    world.register("cart", &["10.0.0.1"]).await;
    let nowhere = format!("127.0.0.1:{}", free_port());
    let blind = world.controller().http().flag("polaris-address", &nowhere).start();
    // Nothing to ask for: it could serve.
    until_ready(&blind, 200, "ok").await;
    // One that does not exist, and one that Polaris does not want to hear of.
    world.create(&world.entry("missing")).await;
    world.create(&world.entry("sick").annotated("aeraki.net/polarisService", "no name at all!")).await;
    until_ready(&blind, 503, "the registry does not answer").await;
    assert_eq!(blind.get("/livez").await.0, 200, "a restart mends no registry");
    assert_eq!(metric(&blind, "polaris2istio_registry_answering").await, 0.0);
    let seeing = world.controller().http().start();
    until_ready(&seeing, 200, "ok").await;
    until_metric(&seeing, "polaris2istio_registry_answering", 1.0).await;
    assert_eq!(seeing.get("/nothing").await.0, 404);
}

/// While it waits for what it cannot do without, it is alive, and says that it is not ready.
#[tokio::test]
async fn a_process_that_waits_is_alive() {
    let Some((world, api)) = World::shared("waiting").await else { return };
    let controller = world.controller().http().kubeconfig(&api.kubeconfig(User::Limited)).start();
    controller.says(&["waiting for the shared state"]).await;
    assert_eq!(controller.get("/livez").await.0, 200);
    assert_eq!(controller.get("/readyz").await, (503, "still starting\n".into()));
}

#[tokio::test]
async fn metrics_and_status_follow_what_happens() {
    let (Some((world, _)), Some(servers)) = (World::shared("observed").await, servers::shared().await) else { return };
    let secret = servers.polaris.token();
    let controller =
        world.controller().http().socket().flag("polaris-token", secret).flag("metrics-per-entry", "true").start();
    world.create(&world.entry("cart")).await;
    world.create(&world.entry("unbound").annotated("aeraki.net/polarisService", Value::Null)).await;
    world.register("cart", &["10.0.0.1", "10.0.0.2"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    // Not before: in one answer with the others it would be told of with its reason.
    world.admin.register(&world.instance("cart", "10.0.0.3").weight(0)).await;
    until_metric(&controller, "polaris2istio_entries{state=\"synced\"}", 1.0).await;
    until_metric(&controller, "polaris2istio_entries{state=\"failed\"}", 1.0).await;
    until_counted(&controller, "polaris2istio_writes_total{result=\"written\"}").await;
    until_counted(&controller, "polaris2istio_polls_total{result=\"unchanged\"}").await;
    for (process, least) in
        [("resident_memory_bytes", 1e6), ("open_fds", 3.0), ("max_fds", 3.0), ("start_time_seconds", 1e9)]
    {
        let value = metric(&controller, &format!("process_{process}")).await;
        assert!(value > least, "{process} {value}");
    }
    assert!(metric(&controller, "process_cpu_seconds_total").await > 0.0);
    assert_eq!(metric(&controller, "polaris2istio_leader").await, 1.0);
    let series = format!("polaris2istio_entry_endpoints{{entry=\"{}/cart\"}}", world.namespace);
    until_metric(&controller, &series, 2.0).await;
    // A scraper that does not ask for OpenMetrics is given the older text, which every one reads.
    let (_, text) = controller.get_as("/metrics", "*/*").await;
    assert!(text.contains(&format!("{series} 2\n")) && !text.contains("# EOF"), "{text}");

    // An update that changes nothing is told without its reason; one that does comes with all of them.
    let mut fates = json!({"listed": 3, "leftOut": {"unexplained": 1}});
    wait_for("the status shows the third instance", SOON, || async {
        let status = status(&controller).await;
        if status["entries"][0]["instances"] == fates { Ok(()) } else { Err(status) }
    })
    .await;
    world.admin.update(&world.instance("cart", "10.0.0.2").weight(50)).await;
    fates["leftOut"] = json!({"instance-weight-zero": 1});
    let fits = |status: &Value| status["entries"][0]["instances"] == fates;
    let seen = wait_for("the status shows why it is left out", SOON, || async {
        let status = status(&controller).await;
        if fits(&status) { Ok(status) } else { Err(status) }
    })
    .await;
    // Of a change to an entry that was followed already.
    until_counted(&controller, "polaris2istio_propagation_seconds_count").await;
    let cart = &seen["entries"][0];
    assert_eq!(cart["entry"], format!("{}/cart", world.namespace));
    assert_eq!((&cart["state"], &cart["endpoints"], &cart["problems"]), (&json!("synced"), &json!(2), &json!([])));
    assert!(cart["revision"].as_str().is_some_and(|revision| revision.len() == 40), "{cart}");
    assert!(cart["lastWrite"]["at"].is_string() && cart["module"].as_str().unwrap().starts_with("sha256:"), "{cart}");
    let unbound = &seen["entries"][1];
    assert_eq!((&unbound["state"], &unbound["problems"][0]["condition"]), (&json!("failed"), &json!("rejected")));

    // The table says the same.
    let table = controller.verb(&["status"]);
    assert!(table.contains("1 failed, 1 synced"), "{table}");
    let line = table.lines().find(|line| line.contains("/cart ")).unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(cells[2..6], ["synced", "2", "3", "1"], "{table}");
    let data: Value = serde_json::from_str(&controller.verb(&["status", "-o", "json"])).unwrap();
    assert_eq!(data["entries"][0]["endpoints"], 2);

    // Held endpoints, and the release.
    world.deregister("cart", &["10.0.0.3"]).await;
    world.deregister("cart", &["10.0.0.1", "10.0.0.2"]).await;
    until_metric(&controller, "polaris2istio_holds{kind=\"empty\"}", 1.0).await;
    let held = &status(&controller).await["entries"][0];
    assert_eq!((&held["state"], &held["holds"][0]["kind"]), (&json!("held"), &json!("empty")), "{held}");
    assert!(held["holds"][0]["until"].is_string() && held["problems"][0]["condition"] == "held", "{held}");
    let table = controller.verb(&["status"]);
    let line = table.lines().find(|line| line.starts_with("  held until ")).unwrap_or_else(|| panic!("{table}"));
    // An answer may have come between the two, so that one of them was let go.
    let words = format!(" UTC: {} endpoints, the service lists no instance any more", held["holds"][0]["endpoints"]);
    assert!(line.ends_with(&words), "{line} {held}");
    for path in ["/metrics", "/status", "/readyz"] {
        assert!(!controller.get(path).await.1.contains(secret), "{path}");
    }
}

/// The last endpoints stay, and it is shown that they are the last ones.
#[tokio::test]
async fn a_service_that_cannot_be_asked_any_more_is_shown() {
    let Some((world, api)) = World::shared("sick").await else { return };
    let answers = Directory::new("answers");
    let answer = |name: &str| {
        let instance = json!({
            "id": name, "host": "10.0.0.1", "port": 8080, "protocol": "http", "weight": 100, "healthy": true,
        });
        let service = json!({"namespace": world.namespace, "name": name, "revision": "1"});
        json!({"code": 200000, "type": "INSTANCE", "service": service, "instances": [instance]}).to_string()
    };
    answers.write("cart.json", answer("cart"));
    answers.write("shop.json", answer("shop"));
    for name in ["cart", "shop"] {
        world.create(&world.entry(name)).await;
    }
    let controller = world.controller().answers(answers.path()).http().socket().start();
    world.endpoints("cart", &["10.0.0.1"]).await;
    world.endpoints("shop", &["10.0.0.1"]).await;
    let troubled = "polaris2istio_problems{problem=\"registry\"}";
    until_metric(&controller, troubled, 0.0).await;

    answers.write("cart.json", "no answer at all");
    until_metric(&controller, troubled, 1.0).await;
    let sick = &status(&controller).await["entries"][0];
    assert_eq!(sick["problems"][0]["condition"], "registry", "{sick}");
    let words = format!("no sound answer for service {}/cart since 20", world.namespace);
    let text = sick["problems"][0]["text"].as_str().unwrap();
    assert!(text.starts_with(&words) && text.contains("cart.json"), "{text}");
    let table = controller.verb(&["status"]);
    assert!(table.contains(&format!("  registry: {words}")), "{table}");
    // One that was never answered for says why as well.
    answers.write("late.json", "never one");
    controller.says(&["late.json"]).await;
    world.create(&world.entry("late")).await;
    until_metric(&controller, troubled, 2.0).await;
    until_metric(&controller, "polaris2istio_entries{state=\"failed\"}", 1.0).await;

    answers.write("cart.json", answer("cart"));
    answers.write("late.json", answer("late"));
    until_metric(&controller, troubled, 0.0).await;
    world.endpoints("late", &["10.0.0.1"]).await;
    assert_eq!(addresses(&world.get("cart").await.unwrap()), ["10.0.0.1"]);
    assert_eq!(writes(api, &world.namespace).await.len(), 3, "no trouble leads to a write");
}

/// `kubectl exec` into a Deployment reaches any replica.
#[tokio::test]
async fn a_standby_says_whom_to_ask() {
    let Some((world, _)) = World::shared("standby").await else { return };
    let replica = |pod: &str| world.controller().socket().http().flag("leader-election", "true").env("POD_NAME", pod);
    let leader = replica("pod-a").start();
    leader.says(&["this replica writes from now on"]).await;
    let standby = replica("pod-b").start();
    standby.says(&["another replica writes"]).await;
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    world.deregister("cart", &["10.0.0.1"]).await;
    until_metric(&leader, "polaris2istio_entries{state=\"held\"}", 1.0).await;
    until_metric(&standby, "polaris2istio_entries{state=\"standby\"}", 1.0).await;
    let (told, asked) = (leader.verb(&["status"]), standby.verb(&["status"]));
    assert!(told.contains("1 held") && !told.contains("kubectl exec"), "{told}");
    assert!(asked.contains("1 standby") && !asked.contains("synced"), "{asked}");
    let lines: Vec<_> = asked.lines().collect();
    assert!(lines[1].contains("only the leader knows"), "{asked}");
    assert!(lines[2].contains("kubectl exec ") && lines[2].ends_with("pod-a -- polaris2istio status"), "{asked}");
}

/// Given to a replica that stands by, and obeyed by all, also by those that start later.
#[tokio::test]
async fn a_pause_is_shared_and_survives_a_restart() {
    let Some((world, api)) = World::shared("paused").await else { return };
    let replica = || world.controller().socket().flag("leader-election", "true").flag("lease-duration", "2s");
    let mut leader = replica().start();
    leader.says(&["this replica writes from now on"]).await;
    let mut standby = replica().start();
    standby.says(&["another replica writes"]).await;
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &["10.0.0.1"]).await;

    let said = standby.verb(&["pause", "--reason", "the registry is restored"]);
    assert!(said.contains("all writes are paused since") && said.contains("the registry is restored"), "{said}");
    leader.says(&["all writes are paused", "the registry is restored"]).await;
    world.register("cart", &["10.0.0.2"]).await;
    leader.says(&["would be written;", "paused"]).await;
    assert!(leader.verb(&["status"]).contains("PAUSED"));
    // A change of leaders does not end it, and nor does a restart of both.
    leader.process.kill();
    standby.says(&["this replica writes from now on"]).await;
    standby.says(&["would be written;", "paused"]).await;
    assert!(standby.stop().await.success());
    leader.start_again();
    wait_for("it is told after the restart", SOON, || async {
        let times = leader.said(&["would be written;", "paused"]);
        if times >= 2 { Ok(()) } else { Err(times) }
    })
    .await;
    assert_eq!(addresses(&world.get("cart").await.unwrap()), ["10.0.0.1"]);
    assert_eq!(writes(api, &world.namespace).await.len(), 1);
    assert_eq!(leader.verb(&["resume"]), "writes go on\n");
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
}
