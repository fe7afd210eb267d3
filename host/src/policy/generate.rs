//! The entries that a policy would make, for those who keep entries in git: the same as in a cluster, but of no policy.

use std::collections::BTreeMap;

use serde_json::Value;

use super::claims::Claims;
use super::head::{Head, RawEntry};
use super::import::PolarisImportSpec;
use super::status::RefusedService;
use crate::istio::{GROUP, VERSIONS};
use crate::registry::{Catalogue, ServiceKey};

/// The entries that a policy would make.
#[derive(Debug, Default)]
pub struct Generated {
    pub entries: Vec<Value>,
    pub refused: Vec<RefusedService>,
    /// Services that have an entry already.
    pub there: usize,
}

/// Makes entries for the selected services that have none among `existing`, in a namespace of Kubernetes.
pub fn generate(spec: &PolarisImportSpec, catalogue: &Catalogue, existing: &[Value], namespace: &str) -> Generated {
    let heads = existing.iter().filter_map(|entry| serde_json::from_value::<RawEntry>(entry.clone()).ok());
    let heads: BTreeMap<_, _> = heads.map(|entry| Head::new(&entry)).map(|head| (head.name.clone(), head)).collect();
    let mut claims = Claims::new(heads.values());
    let mut generated = Generated::default();
    for (service, metadata) in &catalogue.services {
        if !spec.select.selects(service, metadata) {
            continue;
        }
        let key = ServiceKey::new(&*spec.polaris_namespace, &**service);
        if heads.values().any(|head| head.service.as_ref() == Some(&key)) {
            generated.there += 1;
            continue;
        }
        let made = spec.template.make(&spec.polaris_namespace, service);
        let made = made.and_then(|made| claims.claim("", &key, &made, heads.get(&made.name)).map(|()| made));
        match made {
            Ok(made) => generated.entries.push(made.object(&format!("{GROUP}/{}", VERSIONS[0]), namespace)),
            Err(reason) => generated.refused.push(RefusedService { service: service.clone(), reason }),
        }
    }
    generated
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn makes_what_is_not_there() {
        let spec = json!({"polarisNamespace": "default", "template": {"hosts": ["{service}.polaris"]}, "select": {"exclude": ["x"]}});
        let spec = serde_json::from_value(spec).unwrap();
        let services = ["bound", "cart", "named", "x"].map(|name| (name.to_owned(), BTreeMap::new()));
        let catalogue = Catalogue { revision: "r".into(), services: services.into() };
        let annotations = json!({"aeraki.net/polarisNamespace": "default", "aeraki.net/polarisService": "bound"});
        let existing = [
            json!({"metadata": {"name": "other-name", "annotations": annotations}, "spec": {"hosts": ["b"]}}),
            json!({"metadata": {"name": "named"}, "spec": {"hosts": ["n"]}}),
        ];
        let generated = generate(&spec, &catalogue, &existing, "mesh");
        let names: Vec<_> = generated.entries.iter().map(|entry| entry["metadata"]["name"].as_str().unwrap()).collect();
        assert_eq!((names, generated.there), (vec!["cart"], 1));
        assert_eq!(generated.refused[0].service, "named");
        assert!(generated.entries[0]["metadata"]["annotations"].get("polaris2istio.aeraki.net/policy").is_none());
    }
}
