//! A real OCI registry (the `distribution` project's) with a store of its own,
//! and a way to push into it: what `wkg`, `oras` or `docker` would have sent.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::binaries::Binaries;
use super::certificates::Certificates;
use super::daemon::Daemon;
use super::directory::Directory;
use super::ports::free_port;
use super::process::Program;
use super::ready;
use crate::http_client::http_client;

const USER: &str = "user";
const PASSWORD: &str = "secret";
/// Of the password, by bcrypt, the one kind of hash that the registry takes.
const HASH: &str = "$2a$04$vHHCZ18962jx4ArmPFdUP.jS.ydihVv7cn2BUorh/sbhi5j7USeni";

const CONFIG: &str = "config.json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The settings that can differ from test to test, and from one start of a registry to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct OciOptions {
    /// Whether clients need a user and a password ([`OciRegistry::docker_config`]).
    pub auth: bool,
    /// Whether it speaks TLS, by an authority of its own ([`OciRegistry::authority`]). Nothing can be pushed then: push
    /// before, and start it again.
    pub tls: bool,
}

/// A running registry.
pub struct OciRegistry {
    // Dropped in this order: the process before its files.
    daemon: Daemon,
    directory: Directory,
    certificates: Certificates,
    options: OciOptions,
    port: u16,
}

impl OciRegistry {
    /// Starts one with an empty store.
    pub async fn start(binaries: &'static Binaries, options: OciOptions) -> Self {
        ready::start("registry", || Self::try_start(binaries, options)).await
    }

    async fn try_start(binaries: &Binaries, options: OciOptions) -> Result<Self, String> {
        let directory = Directory::new("registry");
        let certificates = Certificates::write(&directory);
        directory.write("htpasswd", format!("{USER}:{HASH}\n"));
        let program = Program::new(&binaries.registry, directory.path())
            .arg("serve")
            .arg(directory.path().join(CONFIG))
            // It would send traces to a collector that is not there.
            .env("OTEL_TRACES_EXPORTER", "none");
        let daemon = Daemon::new(program);
        let mut server = Self { daemon, directory, certificates, options, port: free_port() };
        server.try_start_again().await?;
        Ok(server)
    }

    async fn try_start_again(&mut self) -> Result<(), String> {
        let address = self.address();
        self.directory.write(CONFIG, self.config().to_string());
        self.daemon.start(|| async { TcpStream::connect(&address).await.map(drop) }).await
    }

    /// Its configuration; JSON is YAML.
    fn config(&self) -> Value {
        let mut config = json!({
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": self.directory.path().join("store")}},
            "http": {"addr": self.address(), "secret": "tests"},
        });
        if self.options.tls {
            let Certificates { certificate, key, .. } = &self.certificates;
            config["http"]["tls"] = json!({"certificate": certificate, "key": key});
        }
        if self.options.auth {
            config["auth"] = json!({"htpasswd": {"realm": "tests", "path": self.directory.path().join("htpasswd")}});
        }
        config
    }

    /// Stops it as an operator would.
    pub async fn stop(&mut self) {
        self.daemon.stop().await;
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again on the same port and with the same store, after
    /// [`Self::stop`] or [`Self::kill`] or while it runs, and returns when it
    /// listens.
    pub async fn start_again(&mut self, options: OciOptions) {
        self.options = options;
        if let Err(reason) = self.try_start_again().await {
            panic!("the registry did not start again: {reason}");
        }
    }

    /// Host and port, as references name them.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The certificate of the authority that made its own.
    pub fn authority(&self) -> PathBuf {
        self.certificates.authority.clone()
    }

    /// Writes a Docker `config.json` with a user and a password that it takes, and returns its path.
    pub fn docker_config(&self) -> PathBuf {
        let config = json!({"auths": {self.address(): {"username": USER, "password": PASSWORD}}});
        self.directory.write("docker.json", config.to_string())
    }

    /// Pushes a module as `wkg` does, and returns the digest of its manifest.
    pub async fn push(&self, repository: &str, tag: &str, module: &[u8]) -> String {
        let config = ("application/vnd.wasm.config.v0+json", &b"{}"[..]);
        self.push_artifact(repository, tag, config, &[("application/wasm", module)]).await
    }

    /// Pushes an artifact of any kind, its config and layers by media type and content, and returns the digest of its
    /// manifest.
    pub async fn push_artifact(
        &self,
        repository: &str,
        tag: &str,
        config: (&str, &[u8]),
        layers: &[(&str, &[u8])],
    ) -> String {
        let mut described = Vec::new();
        for (media_type, content) in layers {
            described.push(self.push_blob(repository, media_type, content).await);
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.push_blob(repository, config.0, config.1).await,
            "layers": described,
        });
        let manifest = manifest.to_string();
        let digest = sha256(manifest.as_bytes());
        let url = format!("http://{}/v2/{repository}/manifests/{tag}", self.address());
        created(self.request(Method::PUT, &url).header(CONTENT_TYPE, MANIFEST).body(manifest)).await;
        digest
    }

    /// Pushes a blob and returns its descriptor.
    async fn push_blob(&self, repository: &str, media_type: &str, content: &[u8]) -> Value {
        let digest = sha256(content);
        let url = format!("http://{}/v2/{repository}/blobs/uploads/", self.address());
        let upload = sent(self.request(Method::POST, &url)).await;
        let location = upload.headers().get(LOCATION).expect("an upload has a location").to_str().expect("an address");
        created(self.request(Method::PUT, &format!("{location}&digest={digest}")).body(content.to_vec())).await;
        json!({"mediaType": media_type, "digest": digest, "size": content.len()})
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        http_client().request(method, url).basic_auth(USER, Some(PASSWORD))
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

async fn sent(request: RequestBuilder) -> Response {
    request.send().await.expect("the registry answers").error_for_status().expect("the registry takes a push")
}

async fn created(request: RequestBuilder) {
    assert_eq!(sent(request).await.status(), StatusCode::CREATED);
}

/// The digest of a content. By coreutils, since a crate for it would be one more that the tests alone need.
fn sha256(content: &[u8]) -> String {
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sha256sum (Debian package coreutils)");
    child.stdin.take().expect("it is piped").write_all(content).expect("it reads to the end");
    let output = child.wait_with_output().expect("a child can be waited for");
    let text = String::from_utf8(output.stdout).expect("hexadecimal digits");
    format!("sha256:{}", text.split_whitespace().next().expect("a digest"))
}
