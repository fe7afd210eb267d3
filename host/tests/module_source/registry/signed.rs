//! Modules that must be signed, with signatures that a real cosign made (`tests/signatures/make`).

use std::path::{Path, PathBuf};

use polaris2istio::digest::Digest;
use polaris2istio::source::{Settings, Source, SourceNews, fetch, follow};

use super::fake::Fake;
use super::reply::{Reply, body, status};
use super::{refusal, settings};
use crate::news::{failed, has, next};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cosign").join(name)
}

fn text(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn keyed(key: &str) -> Settings {
    Settings { module_key: Some(fixture(key)), ..settings() }
}

/// A registry with the module that was signed, and no signature.
async fn unsigned() -> (Fake, Digest) {
    let fake = Fake::start().await;
    let manifest: serde_json::Value = serde_json::from_slice(&text("manifest.json")).unwrap();
    let digest = Digest::of(&text("manifest.json"));
    for name in ["v1".to_owned(), digest.to_string()] {
        fake.set(format!("/v2/rules/manifests/{name}"), body(text("manifest.json")));
    }
    fake.blob(b"module", body("module"));
    assert_eq!(manifest["layers"][0]["digest"], Digest::of(b"module").to_string());
    (fake, digest)
}

fn put(fake: &Fake, file: &str) {
    fake.set(format!("/v2/rules/blobs/{}", Digest::of(&text(file))), body(text(file)));
}

/// The signature in the layout of a tag, with another document or manifest if need be.
fn simple(fake: &Fake, signed: Digest) {
    fake.set(format!("/v2/rules/manifests/sha256-{}.sig", signed.hex()), body(text("simple-manifest.json")));
    put(fake, "simple.json");
}

/// A bundle, listed by the registry or by the client's own tag.
fn bundle(fake: &Fake, signed: Digest, by_tag: bool) {
    let index = body(text("index.json"));
    if by_tag {
        fake.set(format!("/v2/rules/manifests/sha256-{}", signed.hex()), index);
    } else {
        fake.set(format!("/v2/rules/referrers/{signed}"), index);
    }
    for file in ["bundle-manifest.json", "attestation-manifest.json"] {
        fake.set(format!("/v2/rules/manifests/{}", Digest::of(&text(file))), body(text(file)));
    }
    put(fake, "bundle.json");
    put(fake, "attestation.json");
}

#[tokio::test]
async fn a_signature_of_either_layout_lets_a_module_in() {
    for layout in ["simple", "listed", "tagged"] {
        let (fake, signed) = unsigned().await;
        match layout {
            "simple" => simple(&fake, signed),
            layout => bundle(&fake, signed, layout == "tagged"),
        }
        assert_eq!(fetch(&fake.source(":v1"), &keyed("cosign.pub")).await.unwrap().bytes, &b"module"[..], "{layout}");
        let words = match layout {
            "simple" => "of its 1 cosign signatures none is by this key and for this digest",
            _ => "of its 2 cosign signatures none",
        };
        let error = refusal(&fake.source(":v1"), &keyed("other.pub")).await;
        assert!(error.contains(words), "{layout}: {error}");
    }
}

#[tokio::test]
async fn what_is_not_signed_does_not_come_in_and_is_not_even_downloaded() {
    let (fake, signed) = unsigned().await;
    let error = refusal(&fake.source(":v1"), &keyed("cosign.pub")).await;
    let command = format!("cosign sign --key cosign.key 127.0.0.1:{}/rules@{signed}", fake.port);
    assert!(error.contains("it has no cosign signature, and --module-key ") && error.ends_with(&command), "{error}");
    // An attestation by the same key, of the same manifest, approves of nothing.
    let only = String::from_utf8(text("index.json")).unwrap();
    let (bundle, attestation) =
        (Digest::of(&text("bundle-manifest.json")), Digest::of(&text("attestation-manifest.json")));
    self::bundle(&fake, signed, false);
    let only = only.replace(&bundle.to_string(), &attestation.to_string());
    fake.set(format!("/v2/rules/referrers/{signed}"), body(only));
    let error = refusal(&fake.source(":v1"), &keyed("cosign.pub")).await;
    assert!(error.contains("of its 2 cosign signatures none"), "{error}");
    // The signature of another manifest, put beside this one.
    let other = fake.push("v2", b"module");
    simple(&fake, other);
    self::bundle(&fake, other, false);
    let error = refusal(&fake.source(":v2"), &keyed("cosign.pub")).await;
    assert!(error.contains("of its 3 cosign signatures none"), "{error}");
    // A document that was altered.
    simple(&fake, signed);
    let document = Digest::of(&text("simple.json"));
    let altered = String::from_utf8(text("simple.json")).unwrap().replace("null", "{}");
    fake.set(format!("/v2/rules/blobs/{document}"), body(altered));
    refusal(&fake.source(":v1"), &keyed("cosign.pub")).await;
    // A registry in trouble is no registry without signatures.
    fake.set(format!("/v2/rules/manifests/sha256-{}.sig", signed.hex()), status(500));
    let error = refusal(&fake.source(":v1"), &keyed("cosign.pub")).await;
    assert!(error.contains("asked for the signature, the registry answers HTTP 500"), "{error}");
    fake.set(format!("/v2/rules/manifests/sha256-{}.sig", signed.hex()), Reply::Endless(None));
    let error = refusal(&fake.source(":v1"), &keyed("cosign.pub")).await;
    assert!(error.contains("signature: it has more than"), "{error}");
    let blob = format!("GET /v2/rules/blobs/{}", Digest::of(b"module"));
    assert!(!fake.requests().contains(&blob), "{:?}", fake.requests());
}

#[tokio::test]
async fn it_is_signed_after_it_was_pushed_and_the_cache_is_no_way_around() {
    let directory = tempfile::tempdir().unwrap();
    let cached = |settings: Settings| Settings { cache: Some(directory.path().into()), ..settings };
    let (fake, signed) = unsigned().await;
    // Without a key, it is taken and kept.
    has(next(&mut follow(fake.source(":v1"), cached(settings()))).await, b"module");
    for source in [fake.source(":v1"), fake.source(&format!("@{signed}"))] {
        let mut follower = follow(source, cached(keyed("cosign.pub")));
        failed(next(&mut follower).await, "it has no cosign signature");
        simple(&fake, signed);
        assert_eq!(next(&mut follower).await, SourceNews::Recovered);
        has(next(&mut follower).await, b"module");
        // The signature was kept with it, and counts for its own key alone.
        let away = fake.state.lock().unwrap().replies.clone();
        fake.state.lock().unwrap().replies.clear();
        let kept = has(next(&mut follow(fake.source(":v1"), cached(keyed("cosign.pub")))).await, b"module");
        assert!(kept.origin.ends_with("(from the cache)"), "{}", kept.origin);
        failed(next(&mut follow(fake.source(":v1"), cached(keyed("other.pub")))).await, "HTTP 404");
        fake.state.lock().unwrap().replies = away;
        fake.state.lock().unwrap().replies.remove(&format!("/v2/rules/manifests/sha256-{}.sig", signed.hex()));
        std::fs::remove_dir_all(directory.path().join("signatures")).unwrap();
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_told_and_a_file_has_no_signature() {
    let directory = tempfile::tempdir().unwrap();
    let (fake, signed) = unsigned().await;
    simple(&fake, signed);
    let key = directory.path().join("key.pub");
    let keyed = Settings { module_key: Some(key.clone()), ..settings() };
    let p384 = "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE\n-----END PUBLIC KEY-----\n";
    for (content, words) in [
        ("", "it holds no public key in PEM"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "it holds no public key in PEM"),
        (p384, "its key is of another kind than ECDSA P-256"),
    ] {
        std::fs::write(&key, content).unwrap();
        let error = fetch(&fake.source(":v1"), &keyed).await.unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("cosign generate-key-pair"), "{error}");
    }
    std::fs::remove_file(&key).unwrap();
    assert!(fetch(&fake.source(":v1"), &keyed).await.unwrap_err().to_string().contains("key.pub: No such file"));
    let file = directory.path().join("mine.wasm");
    std::fs::write(&file, "module").unwrap();
    for source in [Source::File(file), Source::Directory(directory.path().into())] {
        let error = fetch(&source, &keyed).await.unwrap_err().to_string();
        assert!(error.contains("a file has no signature") && error.contains("module push"), "{error}");
    }
    // What this program brings along is as trusted as the program.
    fetch(&Source::Embedded, &keyed).await.unwrap();
}
