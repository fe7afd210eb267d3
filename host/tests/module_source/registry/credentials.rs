//! Credentials and tokens: who gets which.

use std::fs;
use std::path::Path;

use polaris2istio::source::{Settings, SourceNews, fetch, follow};
use serde_json::json;

use super::fake::Fake;
use super::reply::{Reply, body, challenge, redirect, status};
use super::{BASIC, refusal, settings};
use crate::news::{failed, has, next};

/// Settings with the credentials `user:secret` for a registry.
fn with_credentials(directory: &Path, fake: &Fake) -> Settings {
    let path = directory.join("config.json");
    let host = format!("127.0.0.1:{}", fake.port);
    fs::write(&path, json!({"auths": {host: {"username": "user", "password": "secret"}}}).to_string()).unwrap();
    let mut settings = settings();
    settings.oci.docker_config = Some(path);
    settings
}

#[tokio::test]
async fn tokens_are_fetched_with_the_credentials_and_renewed() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start().await;
    let auth = Fake::start().await;
    let settings = with_credentials(directory.path(), &fake);
    fake.push("v1", b"one");
    let bearer = challenge(format!("Bearer realm=\"http://127.0.0.1:{}/token?a=b\",service=\"fake\"", auth.port));
    fake.guard("Bearer first", bearer.clone());
    auth.set("/token", body(json!({"token": "first"}).to_string()));
    let mut follower = follow(fake.source(":v1"), settings.clone());
    has(next(&mut follower).await, b"one");
    {
        let state = auth.state.lock().unwrap();
        assert_eq!(state.requests.len(), 1);
        assert_eq!(state.requests[0].target, "/token?a=b&service=fake&scope=repository%3Arules%3Apull");
        assert_eq!(state.requests[0].authorization.as_deref(), Some(BASIC));
    }
    // It expires, and the next one is asked for without a word.
    auth.set("/token", body(json!({"access_token": "second"}).to_string()));
    fake.guard("Bearer second", bearer.clone());
    fake.push("v1", b"two");
    has(next(&mut follower).await, b"two");
    // The token server denies, breaks, or grants what the registry does not take.
    for (reply, words) in [
        (
            challenge("Basic realm=\"x\""),
            "denies access to the access token (HTTP 401, UNAUTHORIZED) with the credentials that ",
        ),
        (status(500), "asked for the access token, the registry answers HTTP 500"),
        (body("secret"), "access token: it is not JSON"),
        (body("{}"), "access token: it holds no token"),
        (Reply::Endless(None), "access token: it has more than"),
        (
            body(json!({"token": "third"}).to_string()),
            "denies access to the manifest (HTTP 401, UNAUTHORIZED) with the credentials that ",
        ),
    ] {
        auth.set("/token", reply);
        let text = refusal(&fake.source(":v1"), &settings).await;
        assert!(text.contains(words), "{text}");
    }
    let mut credentials = fake.state.lock().unwrap().requests.clone();
    credentials.retain(|request| request.authorization.as_deref() == Some(BASIC));
    assert!(credentials.is_empty(), "the registry itself gets tokens alone: {credentials:?}");
}

#[tokio::test]
async fn credentials_go_to_the_registry_alone() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start().await;
    let store = Fake::start().await;
    let settings = with_credentials(directory.path(), &fake);
    fake.guard(BASIC, challenge("Basic realm=\"x\""));
    fake.push("v1", b"module");
    fake.blob(b"module", redirect(format!("http://127.0.0.1:{}/store/module?signature=x", store.port)));
    store.set("/store/module", body("module"));
    let candidate = fetch(&fake.source(":v1"), &settings).await.unwrap();
    assert_eq!(candidate.bytes, &b"module"[..]);
    let seen = store.state.lock().unwrap().requests.clone();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].authorization, None);
    // Without or with wrong ones it is denied, and said which were used.
    let text = refusal(&fake.source(":v1"), &super::settings()).await;
    assert!(text.contains("without credentials ("), "{text}");
    fake.guard("another", challenge("Basic realm=\"x\""));
    let text = refusal(&fake.source(":v1"), &settings).await;
    assert!(text.contains("with the credentials that ") && text.contains("config.json has for `127.0.0.1:"), "{text}");
    // Credentials that are put right are picked up.
    let mut follower = follow(fake.source(":v1"), settings);
    failed(next(&mut follower).await, "denies access");
    fake.guard(BASIC, challenge("Basic realm=\"x\""));
    assert_eq!(next(&mut follower).await, SourceNews::Recovered);
    has(next(&mut follower).await, b"module");
}

/// A registry that wants the credentials, in whichever way, and sends its blobs to a store that challenges with a realm of its
/// own, as an attacker's would (CVE-2020-15157).
#[tokio::test]
async fn a_challenge_of_where_a_redirect_leads_is_not_answered() {
    let directory = tempfile::tempdir().unwrap();
    for is_token in [false, true] {
        let (fake, store, auth) = (Fake::start().await, Fake::start().await, Fake::start().await);
        let settings = with_credentials(directory.path(), &fake);
        let own = if is_token { "Bearer granted" } else { BASIC };
        let realm = format!("Bearer realm=\"http://127.0.0.1:{}/token\"", auth.port);
        fake.guard(own, challenge(if is_token { realm } else { "Basic realm=\"x\"".into() }));
        auth.set("/token", body(json!({"token": "granted"}).to_string()));
        fake.push("v1", b"module");
        fake.blob(b"module", redirect(format!("http://127.0.0.1:{}/store/module", store.port)));
        for theirs in [
            format!("Bearer realm=\"http://127.0.0.1:{}/steal\",service=\"store\"", store.port),
            // The registry's own realm, named by another.
            format!("Bearer realm=\"http://127.0.0.1:{}/token\"", auth.port),
            "Basic realm=\"store\"".into(),
        ] {
            store.set("/store/module", challenge(theirs));
            store.set("/steal", body(json!({"token": "stolen"}).to_string()));
            let text = refusal(&fake.source(":v1"), &settings).await;
            assert!(
                text.contains("denies access to the module (HTTP 401, UNAUTHORIZED) where it redirects to"),
                "{text}"
            );
        }
        // Back to the registry, on the word of another: what the registry then asks for is not presented either.
        store.set("/store/module", redirect(format!("http://127.0.0.1:{}/v2/rules/other", fake.port)));
        fake.set("/v2/rules/other", body("module"));
        refusal(&fake.source(":v1"), &settings).await;
        let seen = store.state.lock().unwrap().requests.clone();
        assert!(seen.iter().all(|request| request.target == "/store/module"), "{seen:?}");
        assert!(seen.iter().all(|request| request.authorization.is_none()), "{seen:?}");
        let asked = auth.requests().len();
        assert_eq!(asked, if is_token { 4 } else { 0 }, "a token for each fetch, by the registry's own challenge");
        let state = fake.state.lock().unwrap();
        let back = state.requests.iter().filter(|request| request.target == "/v2/rules/other");
        assert!(back.into_iter().all(|request| request.authorization.is_none()));
    }
}
