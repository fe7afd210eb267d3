//! A registry of any number of services, in this process: a real one takes the longer over a registration the more it has,
//! and would take the cores that the controller is measured on.
//!
//! It answers as Polaris does (`shared/reference/polaris-samples`): all of a service, or that nothing changed.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The revision of every service.
const REVISION: &str = "5573e39b6600496d40f493d00ec7658479a19607";

/// Starts it. Returns its host and port; it lives as long as the runtime.
pub(crate) async fn start(instances: u8) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let service = service_fn(move |request| answer(request, instances));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service));
        }
    });
    address
}

async fn answer(request: Request<Incoming>, instances: u8) -> hyper::Result<Response<Full<Bytes>>> {
    let asked: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes()).unwrap_or_default();
    let (name, namespace) = (&asked["service"]["name"], &asked["service"]["namespace"]);
    let service = json!({"name": name, "namespace": namespace, "metadata": {}, "revision": REVISION});
    let known = asked["service"]["revision"] == REVISION;
    let body = if known {
        json!({"code": 200001, "info": "discover data is no change", "type": "INSTANCE", "service": service})
    } else {
        let list: Vec<_> = (1..=instances).map(|host| instance(&asked["service"], host)).collect();
        json!({"code": 200000, "info": "execute success", "type": "INSTANCE", "service": service, "instances": list})
    };
    let code = body["code"].to_string();
    let answer = Response::builder().header("Content-Type", "text/plain; charset=utf-8").header("X-Polaris-Code", code);
    Ok(answer.body(Full::from(body.to_string())).unwrap_or_default())
}

fn instance(service: &Value, host: u8) -> Value {
    json!({
        "id": format!("{}-{host}", service["name"].as_str().unwrap_or_default()), "service": service["name"],
        "namespace": service["namespace"], "host": format!("10.0.0.{host}"), "port": 8080, "protocol": "http",
        "version": "v1", "priority": 0, "weight": 100, "healthy": true, "isolate": false,
        "location": {"region": "ap-guangzhou", "zone": "ap-guangzhou-3", "campus": ""},
        "metadata": {"version": "v1", "env": "prod"},
    })
}
