//! The CRD as it is shipped: made from the types, and held to them.

use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::PolarisImport;

/// The CRD, as an object to be applied.
pub fn crd() -> Value {
    json!(PolarisImport::crd())
}

/// The schema of a policy.
pub fn schema() -> Value {
    crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const HEAD: &str = "# Made from host/src/policy/import.rs: `UPDATE_README=1 cargo test -p polaris2istio --lib policy::crd` writes it anew.\n";
    const PLACES: [&str; 2] = ["deploy/helm/crds/polarisimports.yaml", "deploy/kustomize/crd/polarisimports.yaml"];

    #[test]
    fn what_is_shipped_is_what_the_types_say() {
        let wanted = format!("{HEAD}{}", serde_saphyr::to_string(&crd()).unwrap());
        for place in PLACES {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(place);
            if std::env::var_os("UPDATE_README").is_some() {
                std::fs::write(&path, &wanted).unwrap();
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == wanted, "{place}: {HEAD}");
        }
    }

    /// Every field says what it is for: that is all that `kubectl explain` has to show.
    #[test]
    fn every_field_is_explained() {
        fn check(path: &str, schema: &Value) {
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{name}");
                assert!(field["description"].as_str().is_some_and(|text| text.len() > 5), "{path} is not explained");
                check(&path, field);
                check(&path, &field["items"]);
            }
        }
        check("spec", &schema()["properties"]["spec"]);
        check("status", &schema()["properties"]["status"]);
    }
}
