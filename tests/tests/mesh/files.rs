//! No API server in the way: the files that the controller writes feed an istiod, and traffic follows an edit.

use std::fs;
use std::time::Instant;

use polaris2istio_tests::servers::{Directory, Envoy, Istiod, IstiodOptions, Program, free_port};
use polaris2istio_tests::{Backend, wait_for};
use serde_json::json;

use super::mesh::Mesh;
use super::{SOON, controller, report};

fn answer(backend: &Backend) -> String {
    json!({"code": 200_000, "info": "execute success", "type": "INSTANCE",
           "service": {"name": "cart", "namespace": "default", "revision": backend.port().to_string()},
           "instances": [{"id": backend.port().to_string(), "host": "127.0.0.1", "port": backend.port(), "protocol": "http",
                          "weight": 100, "healthy": true, "isolate": false}]})
    .to_string()
}

#[tokio::test]
async fn traffic_follows_an_edit_of_the_answer() {
    let Some(mesh) = Mesh::shared().await else { return };
    let directory = Directory::new("files");
    let path = |name: &str| directory.path().join(name);
    for name in ["answers", "entries", "out"] {
        fs::create_dir(path(name)).unwrap();
    }
    let port = free_port();
    let entry = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {
            "name": "cart", "namespace": "polaris", "labels": {"manager": "aeraki", "registry": "polaris"},
            "annotations": {"aeraki.net/polarisNamespace": "default", "aeraki.net/polarisService": "cart"},
        },
        "spec": {"hosts": ["dev.cart.polaris"], "resolution": "STATIC",
                 "ports": [{"name": "http", "number": port, "protocol": "HTTP"}]},
    });
    directory.write("entries/cart.yaml", entry.to_string());
    let (one, two) = (Backend::start("one").await, Backend::start("two").await);
    directory.write("answers/cart.json", answer(&one));
    let flag = |name: &str| format!("--{name}={}", path(name).display());
    let _controller = Program::new(&controller::binary(), directory.path())
        .args([flag("answers"), flag("entries"), format!("--output={}", path("out").display())])
        .arg("--allow-loopback")
        .start();
    let options = IstiodOptions { config_directory: Some(path("out")), ..IstiodOptions::default() };
    let istiod = Istiod::start(mesh.binaries, &mesh.api, &options).await;
    let envoy = Envoy::start(mesh.binaries, &istiod).await;
    let answered = async |name: &str| {
        wait_for(&format!("{name} answers"), SOON, || async {
            let answer = envoy.get("dev.cart.polaris", port).await;
            if answer.as_deref() == Ok(name) { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    };
    answered("one").await;
    directory.write("answers/cart.json", answer(&two));
    let edited = Instant::now();
    answered("two").await;
    report(&format!(
        "files alone, edit of an answer -> served by the new instance: {:.2} s",
        edited.elapsed().as_secs_f64()
    ));
}
