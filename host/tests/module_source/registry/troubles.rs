//! The faults of a registry, and the words about them.

use std::time::Duration;

use polaris2istio::digest::Digest;
use polaris2istio::source::{PlainHttp, SourceNews, follow};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::artifact::manifest;
use super::fake::Fake;
use super::reply::{Reply, body, challenge, redirect, status};
use super::{BASIC, refusal, settings};
use crate::news::{failed, has, next};

/// The module behind `v1`.
const MODULE: &[u8] = b"module";

/// A registry whose `v1` is sound, but for what a test changes.
async fn registry(change: impl FnOnce(&Fake)) -> Fake {
    let fake = Fake::start().await;
    fake.push("v1", MODULE);
    change(&fake);
    fake
}

#[tokio::test]
async fn every_trouble_with_a_manifest_is_told_with_what_to_do() {
    let good = manifest(Digest::of(MODULE), MODULE.len() as u64);
    let with = |change: fn(&mut Value)| {
        let mut changed = good.clone();
        change(&mut changed);
        body(changed.to_string())
    };
    let other = Digest::of(b"other").to_string();
    let error = |status: u16, code: &str| {
        Reply::Full(status, Vec::new(), json!({"errors": [{"code": code, "message": BASIC}]}).to_string().into())
    };
    let cases: [(&str, Reply, &str); 21] = [
        ("nothing there", error(404, "MANIFEST_UNKNOWN"), "no such manifest (HTTP 404, MANIFEST_UNKNOWN); check"),
        ("denied", error(403, "DENIED"), "denies access to the manifest (HTTP 403, DENIED)"),
        ("no credentials", challenge("Basic realm=\"x\""), "(HTTP 401, UNAUTHORIZED) without credentials ("),
        ("an odd challenge", challenge("Negotiate"), "WWW-Authenticate: it names no way to be asked"),
        ("limited", status(429), "HTTP 429; it limits requests"),
        ("broken", status(503), "asked for the manifest, the registry answers HTTP 503; see its log"),
        ("TLS", status(400), "--oci-plain-http"),
        ("a bad code", error(500, "SECRET\u{1b}[31m"), "HTTP 500; see"),
        ("a web page", body("<html>"), "manifest: .: expected value"),
        ("endless", Reply::Endless(None), "manifest: it has more than 1048576 bytes"),
        ("cut", Reply::Truncated(good.to_string().into()), "the connection broke while the manifest"),
        (
            "another digest",
            Reply::Full(200, vec![("docker-content-digest", other)], good.to_string().into()),
            "the manifest should have the digest sha256:",
        ),
        (
            "an image",
            with(|m| m["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip")),
            "another kind: layers[0].mediaType is application/vnd.oci.image.layer.v1.tar+gzip",
        ),
        ("several layers", with(|m| m["layers"] = json!([m["layers"][0], m["layers"][0]])), "layers has 2 entries"),
        ("an index", with(|m| m["manifests"] = json!([])), "manifests lists 0 artifacts (an index"),
        (
            "said to be huge",
            with(|m| m["layers"][0]["size"] = json!(5_000_000_000_u64)),
            "5000000000 bytes, more than the 100000 allowed",
        ),
        ("a sha512", with(|m| m["layers"][0]["digest"] = json!("sha512:00")), "layers[0].digest: sha512:00"),
        ("in circles", redirect("/v2/rules/manifests/v1"), "redirects more than 5 times"),
        ("to another scheme", redirect("https://127.0.0.1:1/?signature=secret"), "redirects from http to https"),
        ("to no address", redirect("http://"), "redirects to something that is no address"),
        ("to a file", redirect("file:///etc/passwd"), "redirects from http to file"),
    ];
    for (name, reply, words) in cases {
        let fake = registry(|fake| fake.set("/v2/rules/manifests/v1", reply)).await;
        let text = refusal(&fake.source(":v1"), &settings()).await;
        assert!(text.contains(words), "{name}: {text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(!fake.requests().iter().any(|request| request.contains("/blobs/")), "{name}");
    }
}

#[tokio::test]
async fn every_trouble_with_a_module_is_told_with_what_to_do() {
    let huge = Digest::of(b"huge");
    let cases: [(&str, Reply, &str); 8] = [
        ("nothing there", status(404), "no such module (HTTP 404)"),
        ("other bytes", body("modulf"), "the module should have the digest sha256:"),
        ("more bytes", body("module and more"), "the module should have the digest sha256:"),
        ("no bytes", body(""), "the module should have the digest sha256:"),
        ("cut", Reply::Truncated(b"modul".to_vec()), "the connection broke while the module was on its way"),
        ("said to be 5 GB", Reply::Endless(Some(5_000_000_000)), "5000000000 bytes, more than the 100000 allowed"),
        ("endless", Reply::Endless(None), "over 100000 bytes, more than the 100000 allowed"),
        (
            "elsewhere",
            redirect(format!("http://127.0.0.1:1/{huge}?signature=secret")),
            "no connection to the registry at 127.0.0.1:1: ",
        ),
    ];
    for (name, reply, words) in cases {
        let fake = registry(|fake| fake.blob(MODULE, reply)).await;
        let text = refusal(&fake.source(":v1"), &settings()).await;
        assert!(text.contains(words), "{name}: {text}");
        // Bytes that the kernel buffers on the way are not read.
        assert!(fake.state.lock().unwrap().poured < 20_000_000, "{name}");
    }
}

#[tokio::test]
async fn a_slow_registry_is_not_waited_for() {
    let mut impatient = settings();
    impatient.oci.request_timeout = Duration::from_millis(200);
    let fake = Fake::start().await;
    fake.set("/v2/rules/manifests/v1", Reply::Silence);
    let text = refusal(&fake.source(":v1"), &impatient).await;
    assert!(text.contains("did not deliver the manifest within 200ms"), "{text}");
    fake.push("v1", b"module");
    fake.blob(b"module", Reply::Silence);
    let text = refusal(&fake.source(":v1"), &impatient).await;
    assert!(text.contains("did not deliver the module within 200ms"), "{text}");
    let nobody = "oci://127.0.0.1:1/rules:v1".parse().unwrap();
    let text = refusal(&nobody, &settings()).await;
    assert!(text.contains("no connection to the registry at 127.0.0.1:1: "), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
    let mut tls = settings();
    tls.oci.plain_http = PlainHttp::Never;
    let text = refusal(&fake.source(":v1"), &tls).await;
    assert!(text.contains("name that by --oci-ca-file; if it speaks no TLS"), "{text}");
    let unknown = "oci://no.such.host.invalid/rules:v1".parse().unwrap();
    let text = refusal(&unknown, &settings()).await;
    assert!(text.contains("no connection to the registry at no.such.host.invalid"), "{text}");
}

#[tokio::test]
async fn trouble_is_told_once_and_so_is_its_end() {
    let fake = Fake::start().await;
    fake.push("v1", b"one");
    let mut follower = follow(fake.source(":v1"), settings());
    has(next(&mut follower).await, b"one");
    fake.set("/v2/rules/manifests/v1", status(503));
    failed(next(&mut follower).await, "HTTP 503");
    let so_far = fake.requests().len();
    fake.asked("HEAD", so_far + 5).await;
    fake.set("/v2/rules/manifests/v1", status(401));
    failed(next(&mut follower).await, "WWW-Authenticate");
    fake.push("v1", b"one");
    assert_eq!(next(&mut follower).await, SourceNews::Recovered);
    // A tag that moves to something else is looked at once, not each time.
    let image = json!({"layers": [{"mediaType": "tar", "digest": "x", "size": 1}]});
    fake.tag("v1", &image);
    failed(next(&mut follower).await, "another kind");
    let gets = |fake: &Fake| fake.requests().iter().filter(|request| request.starts_with("GET")).count();
    let before = (gets(&fake), fake.requests().len());
    fake.asked("HEAD", before.1 + 5).await;
    assert_eq!(gets(&fake), before.0);
    fake.push("v1", b"two");
    assert_eq!(next(&mut follower).await, SourceNews::Recovered);
    has(next(&mut follower).await, b"two");
}

#[tokio::test]
async fn a_registry_that_is_down_is_tried_until_it_is_up() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let source = format!("oci://127.0.0.1:{port}/rules:v1").parse().unwrap();
    let mut follower = follow(source, settings());
    failed(next(&mut follower).await, "Connection refused");
    let up = Fake::start_at(port).await;
    up.push("v1", b"module");
    loop {
        match next(&mut follower).await {
            // Between its start and the push.
            SourceNews::Failed(error) => assert!(error.to_string().contains("HTTP 404"), "{error}"),
            news => break assert_eq!(news, SourceNews::Recovered),
        }
    }
    has(next(&mut follower).await, b"module");
}
