//! Where `tests/servers/build` puts the servers, and what happens where they
//! are not.

use std::env;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The built servers, all of them present.
pub struct Binaries {
    pub(super) etcd: PathBuf,
    pub(super) kube_apiserver: PathBuf,
    pub(super) kubectl: PathBuf,
    pub(super) polaris: PathBuf,
    pub(super) polaris_conf: PathBuf,
    pub(super) istio_crds: PathBuf,
    pub(super) registry: PathBuf,
    pub(super) helm: PathBuf,
    pub(super) prometheus_operator_crds: PathBuf,
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
    said(FOUND.get_or_init(find).as_ref())
}

/// What was found; what is missing is said.
fn said<T>(found: Result<T, impl std::fmt::Display>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(missing) => {
            let test = std::thread::current();
            let message =
                format!("{}: {missing} is missing; run tests/servers/build first", test.name().unwrap_or("a test"));
            assert!(env::var_os("POLARIS2ISTIO_REQUIRE_SERVERS").is_none(), "{message}");
            // Not eprintln!, whose output cargo test shows of failed tests only.
            let _ = writeln!(std::io::stderr(), "\nSKIPPED {message}");
            None
        }
    }
}

/// Prometheus's own checker of rules, or `None` as [`binaries`] has it.
///
/// # Panics
///
/// As [`binaries`] does.
pub fn promtool() -> Option<PathBuf> {
    let go_mod = include_str!("../../servers/prometheus/go.mod");
    let version = version(go_mod, "github.com/prometheus/prometheus");
    let path = root().join(format!("promtool-{version}")).join("promtool");
    said(path.exists().then(|| path.clone()).ok_or_else(|| path.display().to_string()))
}

fn find() -> Result<Binaries, String> {
    let kubernetes = include_str!("../../servers/kubernetes/go.mod");
    let polaris = include_str!("../../servers/polaris/go.mod");
    let istio = include_str!("../../servers/istio/go.mod");
    let registry = include_str!("../../servers/registry/go.mod");
    let helm = include_str!("../../servers/helm/go.mod");
    let prometheus_operator = include_str!("../../servers/prometheus-operator/go.mod");
    let there = |name: &str, module: &str, go_mod: &str, file: &str| {
        let path = root().join(format!("{name}-{}", version(go_mod, module))).join(file);
        path.exists().then(|| path.clone()).ok_or_else(|| path.display().to_string())
    };
    let polaris_module = "github.com/polarismesh/polaris";
    let operator_module = "github.com/prometheus-operator/prometheus-operator";
    Ok(Binaries {
        etcd: there("etcd", "go.etcd.io/etcd/server/v3", kubernetes, "etcd")?,
        kube_apiserver: there("kube-apiserver", "k8s.io/kubernetes", kubernetes, "kube-apiserver")?,
        kubectl: there("kubectl", "k8s.io/kubernetes", kubernetes, "kubectl")?,
        polaris: there("polaris", polaris_module, polaris, "polaris-server")?,
        polaris_conf: there("polaris", polaris_module, polaris, "conf")?,
        istio_crds: there("istio-crds", "istio.io/api", istio, "crds.yaml")?,
        registry: there("registry", "github.com/distribution/distribution/v3", registry, "registry")?,
        helm: there("helm", "helm.sh/helm/v4", helm, "helm")?,
        prometheus_operator_crds: there("prometheus-operator-crds", operator_module, prometheus_operator, "crds.yaml")?,
    })
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
