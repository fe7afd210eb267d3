//! A Kubernetes API server with an etcd of its own: real server-side apply,
//! real watches, real validation by Istio's CRD. There is no controller
//! manager, so nothing is garbage-collected, a deleted namespace stays
//! Terminating, and no ServiceAccount appears by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use super::audit;
use super::binaries::Binaries;
use super::certificates::Certificates;
use super::daemon::Daemon;
use super::directory::Directory;
use super::etcd::Etcd;
use super::kubectl;
use super::ports::free_port;
use super::process::Program;
use super::ready;
use crate::poll::wait_for;

/// Far more than it takes to serve a new kind of objects.
const SERVED: Duration = Duration::from_secs(30);
/// How long a ServiceAccount's token is good for, in seconds: longer than any test.
const TOKEN_LIFE: i64 = 3_600;

/// The identity that a kubeconfig is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// May do everything.
    Admin,
    /// The user `limited`, which may do nothing until a test binds a role to it.
    Limited,
}

impl User {
    fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Limited => "limited",
        }
    }
}

/// How an API server is, where it is not as the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiServerOptions {
    /// It cannot stream lists through a watch, as older ones cannot.
    pub no_streamed_lists: bool,
}

/// A running API server. Its etcd goes on while it is stopped, so that its
/// data is there when it comes back.
pub struct ApiServer {
    // Dropped in this order: the processes before their files.
    daemon: Daemon,
    etcd: Etcd,
    directory: Directory,
    kubectl: &'static Path,
    authority: PathBuf,
    port: u16,
}

impl ApiServer {
    /// Starts one that knows ServiceEntries.
    pub async fn start(binaries: &'static Binaries) -> Self {
        Self::start_with(binaries, ApiServerOptions::default()).await
    }

    /// Starts one that knows ServiceEntries and differs from the others.
    pub async fn start_with(binaries: &'static Binaries, options: ApiServerOptions) -> Self {
        let server = ready::start("kube-apiserver", || Self::try_start(binaries, options)).await;
        server.install_crds(binaries).await;
        server
    }

    /// Starts one that knows nothing of Istio.
    pub async fn start_without_crds(binaries: &'static Binaries) -> Self {
        ready::start("kube-apiserver", || Self::try_start(binaries, ApiServerOptions::default())).await
    }

    async fn try_start(binaries: &'static Binaries, options: ApiServerOptions) -> Result<Self, String> {
        let etcd = Etcd::start(binaries).await;
        let directory = Directory::new("apiserver");
        let port = free_port();
        let certificates = Certificates::write(&directory);
        let mut program = program(binaries, &directory, &certificates, port, etcd.url());
        if options.no_streamed_lists {
            program = program.arg("--feature-gates=WatchList=false");
        }
        let daemon = Daemon::new(program);
        let authority = certificates.authority;
        let mut server = Self { daemon, etcd, directory, kubectl: &binaries.kubectl, authority, port };
        // Once, and not whenever one is asked for: other tests may be reading it.
        for user in [User::Admin, User::Limited] {
            server.write_kubeconfig(user.name(), &token(user));
        }
        server.try_start_again().await?;
        Ok(server)
    }

    async fn try_start_again(&mut self) -> Result<(), String> {
        let client = self.client().await;
        let probe = || async {
            let request = http::Request::get("/readyz").body(Vec::new()).expect("a valid request");
            client.request_text(request).await.map(drop)
        };
        self.daemon.start(probe).await
    }

    /// Stops it as an operator would; clients are told.
    pub async fn stop(&mut self) {
        self.daemon.stop().await;
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again on the same port and with the same data, after
    /// [`Self::stop`] or [`Self::kill`], and returns when it is ready.
    pub async fn start_again(&mut self) {
        if let Err(reason) = self.try_start_again().await {
            panic!("kube-apiserver did not start again: {reason}");
        }
    }

    /// Freezes its etcd, as a disk that hangs would: requests wait, and some are given up.
    pub fn freeze_store(&self) {
        self.etcd.signal("STOP");
    }

    /// Lets its etcd go on.
    pub fn thaw_store(&self) {
        self.etcd.signal("CONT");
    }

    /// The path of a kubeconfig for a user.
    pub fn kubeconfig(&self, user: User) -> PathBuf {
        self.directory.path().join(user.name()).with_extension("kubeconfig")
    }

    /// Asks for a token of a ServiceAccount, as a kubelet does, and returns the path of a kubeconfig with it.
    pub async fn account_kubeconfig(&self, namespace: &str, account: &str) -> PathBuf {
        let token = self.account_token(namespace, account, &[]).await;
        self.write_kubeconfig(&format!("{namespace}.{account}"), &token)
    }

    /// A token of a ServiceAccount for these audiences; for the API server itself if there are none.
    pub async fn account_token(&self, namespace: &str, account: &str, audiences: &[&str]) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await, namespace);
        let audiences = audiences.iter().map(|audience| (*audience).to_owned()).collect::<Vec<_>>();
        let spec = TokenRequestSpec {
            expiration_seconds: Some(TOKEN_LIFE),
            audiences: (!audiences.is_empty()).then_some(audiences),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await;
        let answer = answer.expect("a ServiceAccount that exists can have a token");
        answer.status.and_then(|status| status.token).expect("the answer holds the token")
    }

    fn write_kubeconfig(&self, name: &str, token: &str) -> PathBuf {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": {
                "server": format!("https://127.0.0.1:{}", self.port),
                "certificate-authority": self.authority,
            }}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": "tests", "user": name}}],
            "current-context": name,
        });
        // JSON is YAML.
        self.directory.write(&format!("{name}.kubeconfig"), kubeconfig.to_string())
    }

    /// The configuration of a client for a user.
    pub async fn config(&self, user: User) -> Config {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig(user)).expect("our own kubeconfig");
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("our own kubeconfig")
    }

    /// An administrator's client. It belongs to the runtime of the test that
    /// asks, so a new one is made for each.
    pub async fn client(&self) -> Client {
        Client::try_from(self.config(User::Admin).await).expect("a valid configuration")
    }

    /// An administrator's client whose writes are told apart by user agent.
    pub async fn client_as(&self, user_agent: &str) -> Client {
        let mut config = self.config(User::Admin).await;
        let value = user_agent.parse().expect("a user agent is visible ASCII");
        config.headers.push((http::header::USER_AGENT, value));
        Client::try_from(config).expect("a valid configuration")
    }

    /// An administrator's view of the ServiceEntries of a namespace.
    pub async fn service_entries(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client().await, namespace, &service_entry())
    }

    /// Makes a namespace of a name that starts with `prefix` and that no other
    /// test has, and returns its name.
    pub async fn create_namespace(&self, prefix: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(format!("{prefix}-{number}"));
        Api::<Namespace>::all(self.client().await)
            .create(&PostParams::default(), &namespace)
            .await
            .expect("a namespace of a new name can be made")
            .name_any()
    }

    /// All writes to ServiceEntries of a namespace, refused ones too, in the
    /// order in which they were answered. Complete up to the call.
    pub async fn writes(&self, namespace: &str) -> Vec<audit::Write> {
        self.audited(namespace, "serviceentries").await
    }

    /// The same of Leases.
    pub async fn lease_writes(&self, namespace: &str) -> Vec<audit::Write> {
        self.audited(namespace, "leases").await
    }

    async fn audited(&self, namespace: &str, resource: &str) -> Vec<audit::Write> {
        let mut all = audit::writes(&self.client().await, self.directory.path(), namespace).await;
        all.retain(|write| write.resource == resource);
        all
    }

    /// Applies objects as an operator does, by server-side apply; with `dry_run` they are only checked by the server.
    ///
    /// # Panics
    ///
    /// When the server refuses one, with its words.
    pub async fn apply(&self, objects: &[Value], dry_run: bool) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let dry_run = if dry_run { "--dry-run=server" } else { "--dry-run=none" };
        self.kubectl(&["apply", "--server-side", "--field-manager=operator", dry_run, "-f", "-"], &list.to_string())
            .await;
    }

    /// Runs kubectl as the administrator, with something to read from standard
    /// input, and returns its output: for what only kubectl does, such as a
    /// client-side apply.
    ///
    /// # Panics
    ///
    /// When it fails, with what it said.
    pub async fn kubectl(&self, args: &[&str], input: &str) -> String {
        kubectl::run(self.kubectl, &self.kubeconfig(User::Admin), args, input).await
    }

    /// All that the server has logged so far.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Makes it know all kinds of Istio's, as istiod wants it; ServiceEntries may be known already.
    pub async fn install_all_crds(&self, binaries: &Binaries) {
        let path = binaries.istio_crds.display().to_string();
        self.kubectl(&["apply", "--server-side", "--filename", &path], "").await;
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "--filename", &path], "").await;
    }

    /// Makes it know ServiceEntries, after [`Self::start_without_crds`].
    pub async fn install_crds(&self, binaries: &Binaries) {
        let all = fs::read_to_string(&binaries.istio_crds).expect("tests/servers/build made the file readable");
        // Of the fourteen only this one is needed, and each costs start-up time.
        let crd = all
            .split("\n---\n")
            .find(|crd| crd.contains("\n  name: serviceentries.networking.istio.io\n"))
            .expect("Istio has a CRD for ServiceEntries");
        let client = self.client().await;
        // The file as it is, so that nothing of it is lost in a conversion.
        let request = http::Request::post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
            .header(http::header::CONTENT_TYPE, "application/yaml")
            .body(crd.as_bytes().to_vec())
            .expect("a valid request");
        client.request_text(request).await.expect("a new server takes Istio's CRD");
        let entries = self.service_entries("default").await;
        wait_for("ServiceEntries are served", SERVED, || async {
            entries.list(&ListParams::default().limit(1)).await.map(drop)
        })
        .await;
    }
}

/// The kind ServiceEntry, as the API server names it.
pub fn service_entry() -> ApiResource {
    let kind = GroupVersionKind::gvk("networking.istio.io", "v1", "ServiceEntry");
    ApiResource::from_gvk_with_plural(&kind, "serviceentries")
}

/// Tokens are no secrets here: the server listens on loopback and is thrown away.
fn token(user: User) -> String {
    format!("{}-token", user.name())
}

fn program(binaries: &Binaries, directory: &Directory, certificates: &Certificates, port: u16, etcd: &str) -> Program {
    let tokens = format!("{},admin,1,system:masters\n{},limited,2\n", token(User::Admin), token(User::Limited));
    let tokens = directory.write("tokens.csv", tokens);
    let policy = directory.write("audit-policy.yaml", audit::POLICY);
    let with = |flag: &str, path: &Path| format!("{flag}={}", path.display());
    Program::new(&binaries.kube_apiserver, directory.path())
        .arg(format!("--etcd-servers={etcd}"))
        .arg("--bind-address=127.0.0.1")
        .arg(format!("--secure-port={port}"))
        .arg("--advertise-address=127.0.0.1")
        // No endpoints of the `kubernetes` service: loopback is not allowed there.
        .arg("--endpoint-reconciler-type=none")
        .arg("--service-cluster-ip-range=10.0.0.0/24")
        .arg("--authorization-mode=RBAC")
        .arg(with("--tls-cert-file", &certificates.certificate))
        .arg(with("--tls-private-key-file", &certificates.key))
        .arg(with("--token-auth-file", &tokens))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg(with("--service-account-key-file", &certificates.accounts_public))
        .arg(with("--service-account-signing-key-file", &certificates.accounts_private))
        .arg(with("--audit-policy-file", &policy))
        .arg(with("--audit-log-path", &directory.path().join(audit::LOG)))
        // In megabytes: never rotated, so that no write is lost from the count.
        .arg("--audit-log-maxsize=10000")
}
