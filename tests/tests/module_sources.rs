//! Modules from a real registry: pushed, pulled, moved, pinned, guarded, gone and back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::time::Duration;

use polaris2istio::digest::Digest;
use polaris2istio::source::{
    Follower, ModuleBytes, OciSettings, PlainHttp, Settings, Source, SourceError, SourceNews, fetch, follow, push,
};
use polaris2istio_tests::servers::{OciOptions, OciRegistry, binaries};
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(200);
const OPEN: OciOptions = OciOptions { auth: false, tls: false };

fn settings() -> Settings {
    Settings { oci: OciSettings { poll: POLL, ..OciSettings::default() }, ..Settings::default() }
}

fn source(registry: &OciRegistry, name: &str) -> Source {
    format!("oci://{}/{name}", registry.address()).parse().unwrap()
}

async fn next(follower: &mut Follower) -> SourceNews {
    timeout(SOON, follower.next()).await.expect("news come")
}

#[track_caller]
fn has(news: SourceNews, bytes: &[u8]) -> ModuleBytes {
    match news {
        SourceNews::Module(module) if module.bytes == bytes => module,
        other => panic!("another module was expected than {other:?}"),
    }
}

#[track_caller]
fn failed(news: SourceNews, words: &str) {
    match news {
        SourceNews::Failed(error) if error.to_string().contains(words) => {}
        other => panic!("expected a failure that says `{words}`, not {other:?}"),
    }
}

/// The module that this program embeds: a real component.
async fn component() -> ModuleBytes {
    fetch(&Source::Embedded, &settings()).await.unwrap()
}

#[tokio::test]
async fn a_tag_is_followed_and_a_digest_is_not_moved() {
    let Some(binaries) = binaries() else { return };
    let registry = OciRegistry::start(binaries, OPEN).await;
    let embedded = component().await;
    let pinned = registry.push("team/rules", "v1", &embedded.bytes).await;
    let started = Instant::now();
    let mut by_tag = follow(source(&registry, "team/rules:v1"), settings());
    let module = has(next(&mut by_tag).await, &embedded.bytes);
    eprintln!("{} bytes pulled in {:?}", module.bytes.len(), started.elapsed());
    assert_eq!(module.digest, embedded.digest);
    assert_eq!(module.origin, format!("oci://{}/team/rules:v1@{pinned}", registry.address()));
    let mut by_digest = follow(source(&registry, &format!("team/rules@{pinned}")), settings());
    has(next(&mut by_digest).await, &embedded.bytes);

    let moved = registry.push("team/rules", "v1", b"another").await;
    let started = Instant::now();
    let module = has(next(&mut by_tag).await, b"another");
    let seen = started.elapsed();
    eprintln!("a moved tag was seen after {seen:?}");
    assert!(seen < POLL * 2 + Duration::from_secs(2), "{seen:?}");
    assert!(module.origin.ends_with(&moved), "{}", module.origin);
    assert_eq!(
        fetch(&source(&registry, &format!("team/rules:v1@{pinned}")), &settings()).await.unwrap(),
        ModuleBytes { origin: format!("oci://{}/team/rules:v1@{pinned}", registry.address()), ..embedded }
    );
    failed(next(&mut follow(source(&registry, "team/rules:v2"), settings())).await, "MANIFEST_UNKNOWN");
    failed(next(&mut follow(source(&registry, "nobody/rules:v1"), settings())).await, "HTTP 404");
    let nowhere = format!("team/rules@{}", Digest::of(b"nothing"));
    failed(next(&mut follow(source(&registry, &nowhere), settings())).await, "HTTP 404");
}

#[tokio::test]
async fn what_tools_push_is_a_module_and_an_image_is_none() {
    let Some(binaries) = binaries() else { return };
    let registry = OciRegistry::start(binaries, OPEN).await;
    let oras = ("application/vnd.oci.empty.v1+json", &b"{}"[..]);
    let image = ("application/vnd.oci.image.config.v1+json", &b"{\"architecture\":\"amd64\",\"os\":\"linux\"}"[..]);
    let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
    registry.push_artifact("rules", "oras", oras, &[("application/wasm", b"module")]).await;
    registry.push_artifact("rules", "image", image, &[(layer, b"a"), (layer, b"b")]).await;
    registry.push_artifact("rules", "sbom", oras, &[("application/spdx+json", b"{}")]).await;
    registry.push("rules", "large", &[0; 100]).await;
    let small = Settings { size_limit: 99, ..settings() };
    assert_eq!(fetch(&source(&registry, "rules:oras"), &small).await.unwrap().bytes, &b"module"[..]);
    for (name, words) in [
        ("rules:image", "an artifact of another kind: layers has 2 entries"),
        ("rules:sbom", "is application/spdx+json, not application/wasm"),
        ("rules:large", "100 bytes, more than the 99 allowed"),
    ] {
        let text = fetch(&source(&registry, name), &small).await.unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn credentials_and_an_authority_of_ones_own() {
    let Some(binaries) = binaries() else { return };
    let mut registry = OciRegistry::start(binaries, OciOptions { auth: true, tls: false }).await;
    registry.push("rules", "v1", b"module").await;
    let rules = source(&registry, "rules:v1");
    let mut known = settings();
    known.oci.docker_config = Some(registry.docker_config());
    failed(next(&mut follow(rules.clone(), settings())).await, "without credentials (");
    has(next(&mut follow(rules.clone(), known.clone())).await, b"module");

    registry.start_again(OciOptions { auth: true, tls: true }).await;
    known.oci.plain_http = PlainHttp::Never;
    failed(next(&mut follow(rules.clone(), known.clone())).await, "--oci-ca-file");
    known.oci.authority = Some(registry.authority());
    has(next(&mut follow(rules.clone(), known.clone())).await, b"module");
    known.oci.docker_config = None;
    failed(next(&mut follow(rules, known)).await, "denies access to the manifest (HTTP 401, UNAUTHORIZED) without");
}

#[tokio::test]
async fn a_registry_goes_down_and_comes_back_and_the_cache_bridges_a_restart() {
    let Some(binaries) = binaries() else { return };
    let mut registry = OciRegistry::start(binaries, OPEN).await;
    let cache = tempfile::tempdir().unwrap();
    let settings = Settings { cache: Some(cache.path().into()), ..settings() };
    registry.push("rules", "v1", b"one").await;
    let rules = source(&registry, "rules:v1");
    let mut follower = follow(rules.clone(), settings.clone());
    has(next(&mut follower).await, b"one");
    registry.stop().await;
    failed(next(&mut follower).await, "no connection to the registry");
    drop(follower);
    // A restart of ours while it is away.
    let mut follower = follow(rules, settings.clone());
    assert!(has(next(&mut follower).await, b"one").origin.ends_with("(from the cache)"));
    failed(next(&mut follower).await, "no connection to the registry");
    failed(next(&mut follow(source(&registry, "rules:v2"), settings)).await, "no connection to the registry");
    registry.start_again(OPEN).await;
    assert_eq!(next(&mut follower).await, SourceNews::Recovered);
    registry.push("rules", "v1", b"two").await;
    has(next(&mut follower).await, b"two");
    // A crash is no different.
    registry.kill();
    failed(next(&mut follower).await, "no connection to the registry");
    registry.start_again(OPEN).await;
    assert_eq!(next(&mut follower).await, SourceNews::Recovered);
}

#[tokio::test]
async fn what_is_pushed_can_be_pulled_and_is_the_same_each_time() {
    let Some(binaries) = binaries() else { return };
    for auth in [false, true] {
        let registry = OciRegistry::start(binaries, OciOptions { auth, tls: false }).await;
        let mut settings = settings();
        if auth {
            settings.oci.docker_config = Some(registry.docker_config());
        }
        let (rules, module) = (source(&registry, "team/rules:v1"), component().await);
        let Source::Oci(reference) = &rules else { panic!("{rules:?}") };
        let first = push(reference, module.bytes.clone(), &["an/export".into()], &settings).await.unwrap();
        let again = push(reference, module.bytes.clone(), &["an/export".into()], &settings).await.unwrap();
        assert_eq!(first, again);
        let pulled = fetch(&rules, &settings).await.unwrap();
        assert_eq!((pulled.bytes, &pulled.origin), (module.bytes.clone(), &first.pinned));
        let pinned = source(&registry, &format!("team/rules@{}", first.manifest));
        assert_eq!(fetch(&pinned, &settings).await.unwrap().digest, module.digest);
        let Source::Oci(pinned) = pinned else { panic!() };
        let refused = push(&pinned, module.bytes.clone(), &[], &settings).await.unwrap_err();
        assert!(refused.to_string().contains("name a tag alone"), "{refused}");
        if auth {
            let denied = push(reference, module.bytes, &[], &self::settings()).await.unwrap_err();
            assert!(matches!(&denied, SourceError::Denied { what: "upload", .. }), "{denied}");
        }
    }
}
