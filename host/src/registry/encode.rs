//! Writes what was heard of a service as the registry's HTTP API would have answered: what [`decode_answer`] reads again, and
//! so what `convert`, `explain` and `module test` take. Fields that were not decoded are not in it.
//!
//! [`decode_answer`]: super::decode_answer

use polaris2istio_core::model::{Instance, Service};
use serde_json::{Map, Value, json};

use super::{Content, ServiceKey};

/// An answer as JSON.
pub fn encode_answer(service: &ServiceKey, content: &Content) -> Value {
    match content {
        Content::Listed(listed) => json!({
            "code": 200_000, "info": "execute success", "type": "INSTANCE",
            "service": head(listed),
            "instances": listed.instances.iter().map(|one| instance(one, listed)).collect::<Vec<_>>(),
        }),
        Content::Missing => json!({
            "code": 400_202, "info": "not found resource", "type": "INSTANCE",
            "service": {"namespace": service.namespace, "name": service.name},
            "instances": [],
        }),
    }
}

fn head(service: &Service) -> Value {
    json!({
        "namespace": service.namespace, "name": service.name, "revision": service.revision,
        "metadata": pairs(&service.metadata),
    })
}

fn instance(instance: &Instance, service: &Service) -> Value {
    let location = &instance.location;
    json!({
        "id": instance.id, "namespace": service.namespace, "service": service.name,
        "host": instance.host, "port": instance.port, "protocol": instance.protocol, "version": instance.version,
        "priority": instance.priority, "weight": instance.weight, "healthy": instance.healthy,
        "isolate": instance.isolated,
        "location": {"region": location.region, "zone": location.zone, "campus": location.campus},
        "metadata": pairs(&instance.metadata),
    })
}

fn pairs(pairs: &[(String, String)]) -> Map<String, Value> {
    pairs.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::decode_answer;

    #[test]
    fn it_is_read_as_it_was_heard() {
        let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/polaris");
        for name in ["discover-full-mixed", "alias", "empty-service", "not-found-400202"] {
            let heard = decode_answer(&std::fs::read(fixtures.join(format!("{name}.json"))).unwrap(), name).unwrap();
            let written = encode_answer(&heard.service, &heard.content).to_string();
            assert_eq!(decode_answer(written.as_bytes(), "again").unwrap(), heard, "{name}");
        }
    }
}
