//! Tests of the harness itself: the servers do what the other tests take for
//! granted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use polaris2istio_tests::servers::{self, Admin, Answer, ApiServer, Instance, Polaris, PolarisOptions, User};
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);

/// A minimal entry that the CRD accepts.
fn entry(name: &str) -> DynamicObject {
    let mut entry = DynamicObject::new(name, &servers::service_entry());
    entry.data = json!({"spec": {
        "hosts": [format!("dev.{name}.polaris")],
        "resolution": "STATIC",
        "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}],
    }});
    entry
}

/// Waits until Discover lists exactly these hosts.
async fn discover(admin: &Admin, namespace: &str, service: &str, hosts: &[&str]) -> Answer {
    wait_for("Discover lists the hosts", SOON, || async {
        let answer = admin.discover(namespace, service).await;
        match answer.code() == 200_000 && answer.hosts() == hosts {
            true => Ok(answer),
            false => Err(answer.0),
        }
    })
    .await
}

#[tokio::test]
async fn the_api_server_keeps_an_entry_and_its_status() {
    let Some(servers) = servers::shared().await else {
        return;
    };
    let namespace = servers.api.create_namespace("entry").await;
    let entries = servers.api.service_entries(&namespace).await;
    entries.create(&PostParams::default(), &entry("reviews")).await.unwrap();
    let status = json!({"status": {"addresses": [{"value": "240.240.0.7", "host": "x"}]}});
    entries.patch_status("reviews", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    let kept = entries.get("reviews").await.unwrap();
    assert_eq!(kept.data["status"], status["status"]);
    assert_eq!(kept.data["spec"]["resolution"], "STATIC");
}

#[tokio::test]
async fn the_crd_refuses_what_istio_refuses() {
    let Some(servers) = servers::shared().await else {
        return;
    };
    let namespace = servers.api.create_namespace("refused").await;
    let entries = servers.api.service_entries(&namespace).await;
    let mut wrong = entry("reviews");
    wrong.data["spec"]["resolution"] = json!("SOMEHOW");
    match entries.create(&PostParams::default(), &wrong).await {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 422, "{status:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn writes_are_counted_by_who_made_them() {
    let Some(servers) = servers::shared().await else {
        return;
    };
    let namespace = servers.api.create_namespace("counted").await;
    assert_eq!(servers.api.writes(&namespace).await, []);
    let client = servers.api.client_as("a-test/1").await;
    let entries: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &servers::service_entry());
    entries.create(&PostParams::default(), &entry("reviews")).await.unwrap();
    let apply = PatchParams::apply("a-manager").force();
    for weight in [1, 2] {
        let endpoints = json!({"spec": {"endpoints": [{"address": "10.0.0.1", "weight": weight}]}});
        let patch = json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": "reviews"},
            "spec": endpoints["spec"],
        });
        entries.patch("reviews", &apply, &Patch::Apply(&patch)).await.unwrap();
    }
    entries.delete("reviews", &DeleteParams::default()).await.unwrap();

    let writes = servers.api.writes(&namespace).await;
    let counts: Vec<_> = servers::count(&writes).into_iter().collect();
    let of = |verb, times| ((&*namespace, "reviews", "a-test/1", verb), times);
    assert_eq!(counts, [of("create", 1), of("delete", 1), of("patch", 2)]);
    assert!(writes[1].uri.contains("fieldManager=a-manager"), "{}", writes[1].uri);
    assert_eq!(writes[2].body["spec"]["endpoints"][0]["weight"], 2);
    assert_eq!((writes[0].code, &*writes[0].user), (201, "admin"));
}

#[tokio::test]
async fn kubectl_applies_as_a_client() {
    let Some(servers) = servers::shared().await else {
        return;
    };
    let namespace = servers.api.create_namespace("kubectl").await;
    let manifest = serde_json::to_string(&entry("reviews")).unwrap();
    let said = servers.api.kubectl(&["apply", "-n", &namespace, "-f", "-"], &manifest).await;
    assert!(said.contains("reviews created"), "{said}");
    let entries = servers.api.service_entries(&namespace).await;
    let fields = entries.get("reviews").await.unwrap().metadata.managed_fields.unwrap();
    assert_eq!(fields[0].manager.as_deref(), Some("kubectl-client-side-apply"));
}

#[tokio::test]
async fn a_limited_user_may_do_nothing() {
    let Some(servers) = servers::shared().await else {
        return;
    };
    let client = kube::Client::try_from(servers.api.config(User::Limited).await).unwrap();
    let entries: Api<DynamicObject> = Api::namespaced_with(client, "default", &servers::service_entry());
    match entries.list(&Default::default()).await {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 403, "{status:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn polaris_shows_what_is_registered() {
    let Some(servers) = servers::shared().await else {
        return;
    };
    let admin = servers.polaris.admin();
    let one = Instance::new("shown", "reviews", "10.0.0.1", 8080)
        .protocol("http")
        .version("v2")
        .weight(50)
        .location("r", "z", "c")
        .metadata("env", "dev")
        .metadata("tier", "gold");
    let two = Instance::new("shown", "reviews", "10.0.0.2", 8080);
    admin.register(&one).await;
    admin.register_all(std::slice::from_ref(&two)).await;
    let answer = discover(&admin, "shown", "reviews", &["10.0.0.1", "10.0.0.2"]).await;
    let by_host = |host| answer.instances().iter().find(|i| i["host"] == host).unwrap();
    let seen = by_host("10.0.0.1");
    assert_eq!((&seen["protocol"], &seen["weight"]), (&json!("http"), &json!(50)));
    assert_eq!(seen["location"], json!({"region": "r", "zone": "z", "campus": "c"}));
    assert_eq!((&seen["metadata"]["env"], &seen["metadata"]["tier"]), (&json!("dev"), &json!("gold")));
    assert_eq!(by_host("10.0.0.2")["weight"], 100);

    // For a moment after a change the server may still give the revision from
    // before, so this settles only after a while.
    wait_for("an unchanged service is unchanged", SOON, || async {
        let answer = admin.discover("shown", "reviews").await;
        let again = admin.discover_since("shown", "reviews", answer.revision()).await;
        match again.code() {
            200_001 => Ok(()),
            other => Err(other),
        }
    })
    .await;

    admin.update(&one.clone().weight(7).isolate(true).healthy(false)).await;
    let changed = json!({"weight": 7, "isolate": true, "healthy": false});
    wait_for("the update shows", SOON, || async {
        let answer = admin.discover("shown", "reviews").await;
        let instance = answer.instances().iter().find(|i| i["host"] == "10.0.0.1").cloned();
        let instance = instance.unwrap_or(Value::Null);
        match ["weight", "isolate", "healthy"].iter().all(|field| instance[field] == changed[field]) {
            true => Ok(()),
            false => Err(instance),
        }
    })
    .await;

    admin.create_alias("shown", "reviews", "ratings").await;
    discover(&admin, "shown", "ratings", &["10.0.0.1", "10.0.0.2"]).await;

    admin.deregister(&one).await;
    discover(&admin, "shown", "reviews", &["10.0.0.2"]).await;
    admin.deregister(&two).await;
    admin.pull("shown").await;
    discover(&admin, "shown", "reviews", &[]).await;
}

#[tokio::test]
async fn polaris_takes_many_instances_and_empty_services() {
    let Some(servers) = servers::shared().await else {
        return;
    };
    let admin = servers.polaris.admin();
    admin.create_service("many", "empty").await;
    let instances: Vec<_> =
        (0..1000).map(|n| Instance::new("many", "reviews", &format!("10.1.{}.{}", n / 250, n % 250), 80)).collect();
    admin.register_all(&instances).await;
    wait_for("all are listed", SOON, || async {
        match admin.discover("many", "reviews").await.instances().len() {
            1000 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    discover(&admin, "many", "empty", &[]).await;
    admin.delete_service("many", "empty").await;
    wait_for("the service does not exist", SOON, || async {
        match admin.discover("many", "empty").await.code() {
            400_202 => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

#[tokio::test]
async fn polaris_notices_missing_heartbeats() {
    let Some(servers) = servers::shared().await else {
        return;
    };
    let admin = servers.polaris.admin();
    let instance = Instance::new("beating", "reviews", "10.0.0.1", 80).health_check(1);
    admin.register(&instance).await;
    let healthy = async |wanted: bool, beat: bool| {
        wait_for("health changes", Duration::from_secs(30), || async {
            if beat {
                admin.heartbeat(&instance).await;
            }
            let answer = admin.discover("beating", "reviews").await;
            let seen = answer.instances().first().map(|i| i["healthy"].clone());
            match seen == Some(json!(wanted)) {
                true => Ok(()),
                false => Err(answer.0),
            }
        })
        .await;
    };
    healthy(true, true).await;
    healthy(false, false).await;
    healthy(true, true).await;
}

#[tokio::test]
async fn polaris_can_ask_for_a_token() {
    let Some(binaries) = servers::binaries() else {
        return;
    };
    let polaris = Polaris::start(binaries, PolarisOptions { client_auth: true, ..PolarisOptions::default() }).await;
    let admin = polaris.admin();
    admin.register(&Instance::new("default", "reviews", "10.0.0.1", 80)).await;
    discover(&admin, "default", "reviews", &["10.0.0.1"]).await;
    let answer = admin.with_token("wrong").discover("default", "reviews").await;
    assert_eq!(answer.code(), 401_001, "{}", answer.0);
}

#[tokio::test]
async fn polaris_comes_back_with_its_data_or_without() {
    let Some(binaries) = servers::binaries() else {
        return;
    };
    let mut polaris = Polaris::start(binaries, PolarisOptions::default()).await;
    let admin = polaris.admin();
    admin.register(&Instance::new("default", "reviews", "10.0.0.1", 80)).await;
    let before = discover(&admin, "default", "reviews", &["10.0.0.1"]).await;
    polaris.kill();
    polaris.start_again().await;
    let after = discover(&admin, "default", "reviews", &["10.0.0.1"]).await;
    // Not the service's revision: for a moment after a change the server may
    // still give the one from before.
    assert_eq!(after.instances()[0]["revision"], before.instances()[0]["revision"]);
    polaris.start_again_empty().await;
    let answer = admin.discover("default", "reviews").await;
    assert_eq!(answer.code(), 400_202, "{}", answer.0);
}

#[tokio::test]
async fn the_api_server_comes_back_with_its_data() {
    let Some(binaries) = servers::binaries() else {
        return;
    };
    let mut api = ApiServer::start(binaries).await;
    let entries = api.service_entries("default").await;
    entries.create(&PostParams::default(), &entry("reviews")).await.unwrap();
    api.kill();
    assert!(entries.get("reviews").await.is_err());
    api.start_again().await;
    entries.get("reviews").await.unwrap();
    api.stop().await;
    api.start_again().await;
    entries.get("reviews").await.unwrap();
    assert_eq!(api.writes("default").await.len(), 1);
}

#[tokio::test]
async fn an_api_server_can_lack_the_crd() {
    let Some(binaries) = servers::binaries() else {
        return;
    };
    let api = ApiServer::start_without_crds(binaries).await;
    match api.service_entries("default").await.list(&Default::default()).await {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 404, "{status:?}"),
        other => panic!("{other:?}"),
    }
}
