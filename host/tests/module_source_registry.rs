//! Modules in OCI registries, against a registry that misbehaves in every way it can.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polaris2istio::converter::source::{
    Candidate, Digest, Follower, OciSettings, PlainHttp, Settings, Source, SourceNews, fetch, follow,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);
const LIMIT: u64 = 100_000;
/// `user:secret`.
const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

/// How a request is answered.
#[derive(Clone)]
enum Reply {
    Full(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A longer body is announced than comes.
    Truncated(Vec<u8>),
    /// A body of this announced length, or of none; as much as is taken.
    Endless(Option<u64>),
    /// Nothing, for ever.
    Silence,
}

fn status(status: u16) -> Reply {
    Reply::Full(status, Vec::new(), Vec::new())
}

fn body(body: impl Into<Vec<u8>>) -> Reply {
    Reply::Full(200, Vec::new(), body.into())
}

fn redirect(to: impl Into<String>) -> Reply {
    Reply::Full(307, vec![("location", to.into())], Vec::new())
}

fn challenge(challenge: impl Into<String>) -> Reply {
    let denied = json!({"errors": [{"code": "UNAUTHORIZED", "message": format!("you sent {BASIC}")}]});
    Reply::Full(401, vec![("www-authenticate", challenge.into())], denied.to_string().into())
}

#[derive(Clone, Debug)]
struct Request {
    method: String,
    target: String,
    authorization: Option<String>,
}

#[derive(Default)]
struct State {
    replies: BTreeMap<String, Reply>,
    /// Who presents this is answered; others get the challenge.
    guard: Option<(String, Reply)>,
    requests: Vec<Request>,
    /// How much of endless bodies was taken.
    poured: u64,
}

/// An HTTP server with a reply for each path.
#[derive(Clone)]
struct Fake {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Fake {
    async fn start() -> Self {
        Self::start_at(0).await
    }

    async fn start_at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let fake = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        fake
    }

    async fn serve(self, mut stream: TcpStream) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
            if head[0] == 0x16 {
                // Someone begins to speak TLS, and servers without it answer so.
                return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
            }
        }
        let head = String::from_utf8(head).unwrap();
        let mut words = head.split_whitespace();
        let request = Request {
            method: words.next()?.into(),
            target: words.next()?.into(),
            authorization: head.lines().find_map(|line| line.strip_prefix("authorization: ")).map(str::to_owned),
        };
        let reply = {
            let mut state = self.state.lock().unwrap();
            state.requests.push(request.clone());
            let path = request.target.split('?').next()?;
            let known = state.replies.get(path).cloned().unwrap_or_else(|| status(404));
            match &state.guard {
                Some((key, challenge)) if path.starts_with("/v2/") && request.authorization.as_ref() != Some(key) => {
                    challenge.clone()
                }
                _ => known,
            }
        };
        let head = |status: u16, length: Option<u64>, headers: &[(&str, String)]| {
            let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
            if let Some(length) = length {
                head += &format!("content-length: {length}\r\n");
            }
            for (name, value) in headers {
                head += &format!("{name}: {value}\r\n");
            }
            (head + "\r\n").into_bytes()
        };
        match reply {
            Reply::Full(status, headers, body) => {
                let mut answer = head(status, Some(body.len() as u64), &headers);
                if request.method != "HEAD" {
                    answer.extend(body);
                }
                stream.write_all(&answer).await.ok()?;
            }
            Reply::Truncated(body) => {
                let mut answer = head(200, Some(body.len() as u64 + 1), &[]);
                answer.extend(body);
                stream.write_all(&answer).await.ok()?;
            }
            Reply::Endless(length) => {
                stream.write_all(&head(200, length, &[])).await.ok()?;
                loop {
                    stream.write_all(&[0; 1000]).await.ok()?;
                    self.state.lock().unwrap().poured += 1000;
                }
            }
            Reply::Silence => std::future::pending().await,
        }
        stream.shutdown().await.ok()
    }

    fn set(&self, path: impl Into<String>, reply: Reply) {
        self.state.lock().unwrap().replies.insert(path.into(), reply);
    }

    fn guard(&self, key: &str, challenge: Reply) {
        self.state.lock().unwrap().guard = Some((key.into(), challenge));
    }

    /// Puts a manifest under a tag and its digest, as a registry does.
    fn tag(&self, tag: &str, manifest: &Value) -> Digest {
        let text = manifest.to_string();
        let digest = Digest::of(text.as_bytes());
        let reply = Reply::Full(200, vec![("Docker-Content-Digest", digest.to_string())], text.into());
        self.set(format!("/v2/rules/manifests/{tag}"), reply.clone());
        self.set(format!("/v2/rules/manifests/{digest}"), reply);
        digest
    }

    /// Pushes a module, and returns the manifest's digest.
    fn push(&self, tag: &str, module: &[u8]) -> Digest {
        let digest = Digest::of(module);
        self.set(format!("/v2/rules/blobs/{digest}"), body(module));
        self.tag(tag, &manifest(digest, module.len() as u64))
    }

    fn blob(&self, module: &[u8], reply: Reply) {
        self.set(format!("/v2/rules/blobs/{}", Digest::of(module)), reply);
    }

    fn source(&self, name: &str) -> Source {
        format!("oci://127.0.0.1:{}/rules{name}", self.port).parse().unwrap()
    }

    fn requests(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.requests.iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    /// Waits until it was asked so often.
    async fn asked(&self, what: &str, times: usize) {
        let count = || self.requests().iter().filter(|request| request.starts_with(what)).count();
        let enough = async {
            while count() < times {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, enough).await.unwrap_or_else(|_| panic!("{what}: {} times", count()));
    }
}

fn manifest(module: Digest, size: u64) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": Digest::of(b"{}").to_string(), "size": 2},
        "layers": [{"mediaType": "application/wasm", "digest": module.to_string(), "size": size}],
    })
}

fn settings() -> Settings {
    let oci = OciSettings {
        poll: Duration::from_millis(10),
        docker_config: None,
        request_timeout: Duration::from_secs(10),
        ..OciSettings::default()
    };
    Settings { size_limit: LIMIT, oci, ..Settings::default() }
}

/// Settings with the credentials `user:secret` for a registry.
fn with_credentials(directory: &Path, fake: &Fake) -> Settings {
    let path = directory.join("config.json");
    let host = format!("127.0.0.1:{}", fake.port);
    fs::write(&path, json!({"auths": {host: {"username": "user", "password": "secret"}}}).to_string()).unwrap();
    let mut settings = settings();
    settings.oci.docker_config = Some(path);
    settings
}

async fn next(follower: &mut Follower) -> SourceNews {
    timeout(SOON, follower.next()).await.expect("news come")
}

#[track_caller]
fn failed(news: SourceNews, words: &str) {
    match news {
        SourceNews::Failed(error) if error.to_string().contains(words) => {}
        other => panic!("expected a failure that says `{words}`, not {other:?}"),
    }
}

#[track_caller]
fn has(news: SourceNews, bytes: &[u8]) -> Candidate {
    match news {
        SourceNews::Candidate(candidate) if candidate.bytes == bytes => candidate,
        other => panic!("expected {}, not {other:?}", bytes.escape_ascii()),
    }
}

/// Fetches what cannot be had and returns the text that says why.
async fn refusal(source: &Source, settings: &Settings) -> String {
    let text = fetch(source, settings).await.unwrap_err().to_string();
    assert!(text.starts_with(&format!("module {source}: ")), "{text}");
    assert!(text.contains("; "), "a remedy: {text}");
    assert!(!text.contains("secret") && !text.contains(BASIC), "{text}");
    text
}

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
    let mut annotated = self::manifest(Digest::of(b"two"), 3);
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
                SourceNews::Candidate(candidate) => break assert_eq!(candidate.bytes, &b"two"[..]),
                SourceNews::Failed(_) | SourceNews::Recovered => {}
            }
        }
    }
}

#[tokio::test]
async fn every_trouble_is_told_with_what_to_do() {
    let module = &b"module"[..];
    let good = manifest(Digest::of(module), module.len() as u64);
    let with = |change: fn(&mut Value)| {
        let mut changed = good.clone();
        change(&mut changed);
        body(changed.to_string())
    };
    let [other, huge] = [Digest::of(b"other"), Digest::of(b"huge")].map(|digest| digest.to_string());
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
            Reply::Full(200, vec![("docker-content-digest", other.clone())], good.to_string().into()),
            "the manifest should have the digest sha256:",
        ),
        (
            "an image",
            with(|m| m["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip")),
            "another kind: layers[0].mediaType is application/vnd.oci.image.layer.v1.tar+gzip",
        ),
        ("several layers", with(|m| m["layers"] = json!([m["layers"][0], m["layers"][0]])), "layers has 2 entries"),
        ("an index", with(|m| m["manifests"] = json!([])), "manifests lists several artifacts"),
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
        let fake = Fake::start().await;
        fake.blob(module, body(module));
        fake.set("/v2/rules/manifests/v1", reply);
        let text = refusal(&fake.source(":v1"), &settings()).await;
        assert!(text.contains(words), "{name}: {text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(!fake.requests().iter().any(|request| request.contains("/blobs/")), "{name}");
    }
    let blobs: [(&str, Reply, &str); 8] = [
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
    for (name, reply, words) in blobs {
        let fake = Fake::start().await;
        fake.tag("v1", &good);
        fake.blob(module, reply);
        let text = refusal(&fake.source(":v1"), &settings()).await;
        assert!(text.contains(words), "{name}: {text}");
        // What the kernel buffers on the way is not read by anybody.
        assert!(fake.state.lock().unwrap().poured < 20_000_000, "{name}");
    }
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
    let text = refusal(&fake.source(":v1"), &self::settings()).await;
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
async fn the_cache_stands_in_at_the_start_for_what_was_seen_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start().await;
    let pinned = fake.push("v1", b"one");
    let settings = Settings { cache: Some(directory.path().into()), ..settings() };
    has(next(&mut follow(fake.source(":v1"), settings.clone())).await, b"one");
    // The registry is broken at the next start.
    fake.state.lock().unwrap().replies.clear();
    let mut follower = follow(fake.source(":v1"), settings.clone());
    let cached = has(next(&mut follower).await, b"one");
    assert_eq!(cached.origin, format!("oci://127.0.0.1:{}/rules:v1@{pinned} (from the cache)", fake.port));
    failed(next(&mut follower).await, "HTTP 404");
    // It comes back: as it was, then with another.
    fake.push("v1", b"one");
    assert_eq!(next(&mut follower).await, SourceNews::Recovered);
    fake.push("v1", b"two");
    has(next(&mut follower).await, b"two");
    fake.state.lock().unwrap().replies.clear();
    has(next(&mut follow(fake.source(":v1"), settings.clone())).await, b"two");
    // A pinned digest needs no registry at all, now that it was seen.
    let requests = fake.requests().len();
    has(next(&mut follow(fake.source(&format!("@{pinned}")), settings.clone())).await, b"one");
    assert!(fetch(&fake.source(&format!("@{pinned}")), &settings).await.unwrap().origin.ends_with("(from the cache)"));
    assert!(!fake.requests()[requests..].iter().any(|request| request.contains(&pinned.to_string())));
    // Another tag was never seen, nor was another repository.
    failed(next(&mut follow(fake.source(":v2"), settings.clone())).await, "HTTP 404");
    failed(next(&mut follow(fake.source("/other:v1"), settings.clone())).await, "HTTP 404");
    // A smaller limit holds for the cache, too.
    let smaller = Settings { size_limit: 2, ..settings.clone() };
    failed(next(&mut follow(fake.source(":v1"), smaller)).await, "HTTP 404");
    // What was altered on disk is not used.
    for entry in fs::read_dir(directory.path().join("modules")).unwrap() {
        fs::write(entry.unwrap().path(), b"bad").unwrap();
    }
    failed(next(&mut follow(fake.source(":v1"), settings.clone())).await, "HTTP 404");
    failed(next(&mut follow(fake.source(&format!("@{pinned}")), settings)).await, "HTTP 404");
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_costs_nothing_but_itself() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let fake = Fake::start().await;
    fake.push("v1", b"module");
    let settings = Settings { cache: Some(file), ..settings() };
    has(next(&mut follow(fake.source(":v1"), settings)).await, b"module");
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
