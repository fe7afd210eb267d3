//! Tags that move, and digests that do not.

use polaris2istio::digest::Digest;
use polaris2istio::source::{SourceNews, follow};
use serde_json::json;

use super::artifact::manifest;
use super::fake::Fake;
use super::reply::{Reply, body, status};
use super::{refusal, settings};
use crate::news::{has, next};

#[tokio::test]
async fn a_tag_is_resolved_again_and_downloaded_only_when_it_moved() {
    let fake = Fake::start().await;
    let manifest = fake.push("v1", b"one");
    let mut follower = follow(fake.source(":v1"), settings());
    let one = has(next(&mut follower).await, b"one");
    assert_eq!(one.digest, Digest::of(b"one"));
    assert_eq!(one.origin, format!("oci://127.0.0.1:{}/rules:v1@{manifest}", fake.port));
    fake.asked("HEAD /v2/rules/manifests/v1", 5).await;
    assert_eq!(fake.requests().iter().filter(|request| request.starts_with("GET")).count(), 2);
    fake.push("v1", b"two");
    has(next(&mut follower).await, b"two");
    // Another manifest with the same module is no news, and no download.
    let mut annotated = super::artifact::manifest(Digest::of(b"two"), 3);
    annotated["annotations"] = json!({"a": "b"});
    fake.tag("v1", &annotated);
    fake.asked("GET /v2/rules/manifests/v1", 3).await;
    assert_eq!(fake.requests().iter().filter(|request| request.starts_with("GET /v2/rules/blobs")).count(), 2);
    fake.push("v1", b"one");
    has(next(&mut follower).await, b"one");
}

#[tokio::test]
async fn a_pinned_digest_is_fetched_once() {
    let fake = Fake::start().await;
    let pinned = fake.push("v1", b"one");
    let mut follower = follow(fake.source(&format!(":v1@{pinned}")), settings());
    has(next(&mut follower).await, b"one");
    fake.push("v2", b"two");
    let mut other = follow(fake.source(":v2"), settings());
    has(next(&mut other).await, b"two");
    fake.asked("HEAD /v2/rules/manifests/v2", 20).await;
    let of_pinned = fake.requests().into_iter().filter(|request| request.contains(&pinned.to_string()));
    assert_eq!(of_pinned.count(), 1);
}

#[tokio::test]
async fn a_pinned_digest_is_verified() {
    let fake = Fake::start().await;
    fake.push("v1", b"module");
    let wanted = Digest::of(b"another manifest");
    let other = manifest(Digest::of(b"module"), 6).to_string();
    // The header agrees with what was asked for, the content does not.
    let reply = Reply::Full(200, vec![("docker-content-digest", wanted.to_string())], other.into());
    fake.set(format!("/v2/rules/manifests/{wanted}"), reply);
    let text = refusal(&fake.source(&format!("@{wanted}")), &settings()).await;
    assert!(text.contains(&format!("the manifest should have the digest {wanted} but has sha256:")), "{text}");
}

#[tokio::test]
async fn a_registry_without_head_or_digest_header_is_polled_all_the_same() {
    for head in [status(405), body("")] {
        let fake = Fake::start().await;
        // This server has one reply for both methods, so the manifest is put up in between.
        let text = manifest(Digest::of(b"one"), 3).to_string();
        fake.push("v2", b"one");
        fake.set("/v2/rules/manifests/v1", body(text.clone()));
        let mut follower = follow(fake.source(":v1"), settings());
        has(next(&mut follower).await, b"one");
        fake.set("/v2/rules/manifests/v1", head);
        fake.asked("HEAD", 2).await;
        fake.push("v2", b"two");
        fake.set("/v2/rules/manifests/v1", body(manifest(Digest::of(b"two"), 3).to_string()));
        loop {
            match next(&mut follower).await {
                SourceNews::Module(candidate) => break assert_eq!(candidate.bytes, &b"two"[..]),
                SourceNews::Failed(_) | SourceNews::Recovered => {}
            }
        }
    }
}
