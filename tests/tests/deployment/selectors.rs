//! Selectors find the pods, whichever labels a rendering has.

use polaris2istio_tests::servers::{self, Manifests};
use serde_json::Value;

use super::VARIANTS;

#[test]
fn every_selector_selects_the_pods() {
    let Some(binaries) = servers::binaries_with_helm() else { return };
    for variant in VARIANTS {
        check(&variant.kustomize(binaries));
        check(&variant.helm(binaries));
    }
}

#[track_caller]
fn check(manifests: &Manifests) {
    let deployment = one(manifests, "Deployment");
    let pods = &deployment["spec"]["template"]["metadata"]["labels"];
    let service = &one(manifests, "Service");
    let spread = deployment.pointer("/spec/template/spec/topologySpreadConstraints").unwrap().as_array().unwrap();
    let mut selectors: Vec<&Value> = spread.iter().map(|one| &one["labelSelector"]["matchLabels"]).collect();
    assert_eq!(selectors.len(), 2);
    selectors.push(&deployment["spec"]["selector"]["matchLabels"]);
    let budget = one(manifests, "PodDisruptionBudget");
    selectors.push(&budget["spec"]["selector"]["matchLabels"]);
    let policy = one(manifests, "NetworkPolicy");
    selectors.push(&policy["spec"]["podSelector"]["matchLabels"]);
    selectors.push(&service["spec"]["selector"]);
    selectors.into_iter().for_each(|selector| selects(selector, pods));
    for monitor in manifests.of_kind("ServiceMonitor") {
        selects(&monitor["spec"]["selector"]["matchLabels"], &service["metadata"]["labels"]);
    }
}

/// The one object of a kind.
pub(crate) fn one<'a>(manifests: &'a Manifests, kind: &'a str) -> &'a Value {
    let mut all = manifests.of_kind(kind);
    let first = all.next().unwrap_or_else(|| panic!("there is a {kind}"));
    assert!(all.next().is_none(), "there is one {kind}");
    first
}

#[track_caller]
fn selects(selector: &Value, labels: &Value) {
    let selector = selector.as_object().unwrap();
    assert!(!selector.is_empty(), "an empty selector selects everything");
    assert!(selector.iter().all(|(key, value)| labels[key] == *value), "{selector:?} selects none of {labels}");
}
