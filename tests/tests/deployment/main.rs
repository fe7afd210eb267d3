//! The manifests: what kustomize and Helm make of them is the same, the API server takes it, and it fits the binary.
//!
//! The parts that only a kubelet or a CNI plugin could prove (that probes are made, seccomp and a NetworkPolicy enforced)
//! are checked against the API server's schema and no further.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

#[path = "../../../host/tests/support/docs.rs"]
#[allow(dead_code, reason = "shared with the test of all documents")]
mod docs;

mod dashboard;
mod example;
mod life;
mod normal;
mod options;
mod readme;
mod schema;
mod selectors;

use std::path::{Path, PathBuf};

use polaris2istio_tests::servers::{self, Binaries, Manifests};
use serde_json::Value;

/// A way to install: a directory of `variants`, with a kustomization and the values of the chart for the same. That of `all` is
/// the example with all that it offers, so that what it offers is true.
struct Variant(&'static str);

const VARIANTS: [Variant; 5] =
    [Variant("base"), Variant("example"), Variant("all"), Variant("flags"), Variant("ports")];

impl Variant {
    fn kustomize(&self, binaries: &Binaries) -> Manifests {
        match self.0 {
            "all" => example::with_all(binaries),
            _ => Manifests::kustomize(binaries, self.path()),
        }
    }

    fn helm(&self, binaries: &Binaries) -> Manifests {
        Manifests::helm(binaries, Some(&self.path().join("values.yaml")))
    }

    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deployment/variants").join(self.0)
    }
}

#[test]
fn kustomize_and_helm_render_the_same() {
    let Some(binaries) = servers::binaries_with_helm() else { return };
    for variant in VARIANTS {
        let (mut kustomize, helm) =
            (normal::normal(variant.kustomize(binaries)), normal::normal(variant.helm(binaries)));
        // Helm installs the chart's CRD in any case and renders it in none; that it is the same, the host's tests say.
        kustomize.retain(|key, _| !key.starts_with("CustomResourceDefinition "));
        let keys = |objects: &normal::Objects| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&kustomize), keys(&helm), "{}", variant.0);
        for (key, object) in &kustomize {
            let (only_left, only_right) = (lines_beyond(object, &helm[key]), lines_beyond(&helm[key], object));
            assert_eq!(object, &helm[key], "{} {key}: {only_left:#?} {only_right:#?}", variant.0);
        }
    }
}

/// The lines of one object that the other has not: what to look for in a failure.
fn lines_beyond(one: &Value, other: &Value) -> Vec<String> {
    let (one, other) = (format!("{one:#}"), format!("{other:#}"));
    one.lines().filter(|line| !other.lines().any(|known| known == *line)).map(str::to_owned).collect()
}

#[test]
fn the_chart_passes_lint() {
    let Some(binaries) = servers::binaries_with_helm() else { return };
    let said = Manifests::lint(binaries);
    assert!(said.contains("0 chart(s) failed") && !said.contains("[WARNING]"), "{said}");
}
