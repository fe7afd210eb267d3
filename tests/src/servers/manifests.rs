//! The manifests as shipped, rendered by the tools that operators render them with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::apiserver::{ApiServer, User};
use super::binaries::Binaries;

/// The namespaces that the manifests as shipped name: the controller's own, and that of the entries.
const SHIPPED: (&str, &str) = ("polaris2istio", "polaris");

/// Rendered Kubernetes objects, as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifests(pub Vec<Value>);

impl Manifests {
    /// The rendering of a directory; a relative path is one below `deploy/kustomize`.
    pub fn kustomize(binaries: &Binaries, directory: impl AsRef<Path>) -> Self {
        let path = deploy().join("kustomize").join(directory);
        Self::read(&run(Command::new(&binaries.kubectl).arg("kustomize").arg(path)))
    }

    /// The rendering of the chart as the release `polaris2istio` in the namespace of that name, with a file of values.
    pub fn helm(binaries: &Binaries, values: Option<&Path>) -> Self {
        let mut command = Command::new(&binaries.helm);
        command
            .args(["template", "polaris2istio", "--skip-tests", "--namespace", SHIPPED.0])
            .arg(deploy().join("helm"));
        values.into_iter().for_each(|file| {
            command.arg("--values").arg(file);
        });
        Self::read(&run(&mut command))
    }

    /// The rendering of one of the chart's templates, or why there is none. Each setting is as `--set` takes it.
    pub fn template(binaries: &Binaries, template: &str, settings: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(&binaries.helm);
        command.args(["template", "polaris2istio", "--namespace", SHIPPED.0, "--show-only", template]);
        settings.iter().for_each(|setting| {
            command.args(["--set", setting]);
        });
        let output = command.arg(deploy().join("helm")).stdin(Stdio::null()).output().expect("helm can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(Self::read(&text(&output.stdout))) } else { Err(text(&output.stderr)) }
    }

    /// The output of `helm lint` for the chart.
    ///
    /// # Panics
    ///
    /// When it finds fault with it.
    pub fn lint(binaries: &Binaries) -> String {
        run(Command::new(&binaries.helm).args(["lint", "--strict"]).arg(deploy().join("helm")))
    }

    /// Runs helm against a server, for what it does beside rendering, and returns what it said. `CHART` stands for the chart.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub async fn run_helm(binaries: &Binaries, api: &ApiServer, args: &[&str]) -> String {
        let mut command = Command::new(&binaries.helm);
        command.arg("--kubeconfig").arg(api.kubeconfig(User::Admin));
        for arg in args {
            if *arg == "CHART" {
                command.arg(deploy().join("helm"))
            } else {
                command.arg(arg)
            };
        }
        tokio::task::spawn_blocking(move || run(&mut command)).await.expect("helm ends well")
    }

    /// Runs lines of a shell in a directory, as an operator who has kubectl and helm and changes no file in an editor.
    ///
    /// # Panics
    ///
    /// When one of them fails.
    pub async fn run_script(binaries: &Binaries, api: &ApiServer, directory: &Path, script: &str) -> String {
        let tools =
            [&binaries.kubectl, &binaries.helm].map(|tool| tool.parent().expect("a tool is in a directory").into());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(tools.into_iter().chain(std::env::split_paths(&path)));
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(directory).env("PATH", path.expect("no tool's path has a colon"));
        command.env("KUBECONFIG", api.kubeconfig(User::Admin)).env("EDITOR", "true");
        tokio::task::spawn_blocking(move || run(&mut command)).await.expect("the shell ends well")
    }

    /// The definition of ServiceMonitors.
    pub fn service_monitor_crd(binaries: &Binaries) -> Self {
        Self::read(
            &fs::read_to_string(&binaries.prometheus_operator_crds).expect("tests/servers/build made it readable"),
        )
    }

    /// The objects in a text of several YAML documents.
    fn read(text: &str) -> Self {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).expect("rendered manifests are YAML");
        Self(documents.into_iter().filter(|document| !document.is_null()).collect())
    }

    /// The same for other namespaces: the controller's own, and that of the entries.
    pub fn moved(mut self, own: &str, entries: &str) -> Self {
        let names = BTreeMap::from([(SHIPPED.0, own), (SHIPPED.1, entries)]);
        for object in &mut self.0 {
            if object["kind"] == "Namespace" {
                rename(&mut object["metadata"]["name"], &names);
            }
            move_namespaces(object, &names);
        }
        self
    }

    /// Those of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }
}

/// The directory `deploy` of this checkout.
fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// Runs a tool that only renders, and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the tool can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("manifests are text")
}

fn move_namespaces(value: &mut Value, names: &BTreeMap<&str, &str>) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| match key.as_str() {
            "namespace" => rename(value, names),
            _ => move_namespaces(value, names),
        }),
        Value::Array(values) => values.iter_mut().for_each(|value| move_namespaces(value, names)),
        _ => {}
    }
}

fn rename(value: &mut Value, names: &BTreeMap<&str, &str>) {
    if let Some(name) = value.as_str().and_then(|name| names.get(name)) {
        *value = Value::from(*name);
    }
}
