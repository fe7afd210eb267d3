//! An index, which names manifests for several platforms.

use polaris2istio::digest::Digest;
use polaris2istio::source::{Settings, fetch, follow};
use serde_json::json;

use super::artifact::manifest;
use super::fake::Fake;
use super::reply::body;
use super::{refusal, settings};
use crate::news::{has, next};

/// Puts an index under a tag that names the manifest of a module, and one of something else.
fn index(fake: &Fake, tag: &str, module: &[u8]) -> Digest {
    let wanted = fake.push("unused", module);
    let listed = |digest: Digest, architecture: &str| {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest.to_string(), "size": 1,
            "platform": {"architecture": architecture, "os": "wasi"}})
    };
    let list = [listed(Digest::of(b"attestation"), "unknown"), listed(wanted, "wasm")];
    fake.tag(
        tag,
        &json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": list}),
    )
}

#[tokio::test]
async fn its_one_manifest_of_a_module_is_followed_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start().await;
    let pinned = index(&fake, "v1", b"one");
    let settings = Settings { cache: Some(directory.path().into()), ..settings() };
    let mut follower = follow(fake.source(":v1"), settings.clone());
    let first = has(next(&mut follower).await, b"one");
    assert!(first.origin.ends_with(&pinned.to_string()), "by the digest that the tag names: {}", first.origin);
    index(&fake, "v1", b"two");
    has(next(&mut follower).await, b"two");
    fake.state.lock().unwrap().replies.clear();
    for name in [":v1".to_owned(), format!("@{pinned}")] {
        let cached = fetch(&fake.source(&name), &settings).await;
        match name.as_str() {
            // `fetch` asks for a tag each time.
            ":v1" => assert!(cached.is_err()),
            _ => assert_eq!(cached.unwrap().bytes, &b"one"[..]),
        }
    }
    has(next(&mut follow(fake.source(":v1"), settings)).await, b"two");
}

#[tokio::test]
async fn the_manifest_that_it_names_is_verified() {
    let fake = Fake::start().await;
    index(&fake, "v1", b"one");
    let named = Digest::of(manifest(Digest::of(b"one"), 3).to_string().as_bytes());
    fake.set(format!("/v2/rules/manifests/{named}"), body(manifest(Digest::of(b"evil"), 4).to_string()));
    let text = refusal(&fake.source(":v1"), &settings()).await;
    assert!(text.contains(&format!("the manifest should have the digest {named} but has sha256:")), "{text}");
}
