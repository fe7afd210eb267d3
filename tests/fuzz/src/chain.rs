//! The way of a module's answer up to the apply, and the checks that hold whatever the answer is.

use std::net::IpAddr;

use polaris2istio::annotation::MODULE_PREFIX;
use polaris2istio::entries::Document;
use polaris2istio::plan::{AddressRule, check};
use polaris2istio::plan::{Desired, plan};
use polaris2istio_core::model::{Request, Service, Update, Verdict};
use serde_json::Value;

/// An entry as an operator writes it.
pub(crate) const ENTRY: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: reviews
  namespace: polaris
  labels: {manager: aeraki, registry: polaris}
  annotations: {aeraki.net/polarisNamespace: default, aeraki.net/polarisService: reviews}
spec:
  hosts: [dev.reviews.polaris]
  resolution: STATIC
  ports: [{name: http, number: 80, protocol: HTTP}, {name: tcp, number: 81, protocol: TCP}]
";

pub(crate) fn entry() -> Document {
    Document::parse_all(ENTRY.as_bytes(), "fuzz").unwrap().remove(0)
}

/// The default rules' update of an entry for a service, if there is one.
pub(crate) fn convert(service: &Service, document: &Document) -> Option<Update> {
    let entry = document.entry.view().ok()?;
    let request = Request { service: service.clone(), entry, parameters: Vec::new(), published: None };
    match polaris2istio_core::convert(&request).expect("the default rules never fail").verdict {
        Verdict::Update(update) => Some(update),
        Verdict::Unchanged | Verdict::Rejected => None,
    }
}

/// Takes an update as far as the apply. Returns what rule it breaks, if any.
pub(crate) fn apply(update: Update, document: &Document) -> Result<(), String> {
    let desired = Desired::new(update, "default/reviews".into(), "r1".into());
    check(&desired, &document.entry, &AddressRule::default()).map_err(|violation| violation.to_string())?;
    for endpoint in desired.endpoints.iter() {
        if let Ok(address) = endpoint.address.parse::<IpAddr>() {
            assert!(!steers(address), "{address} passed the rules");
        }
    }
    let Some(apply) = plan(&desired, &document.entry).apply else { return Ok(()) };
    let body = apply.body();
    assert!(body["spec"].get("hosts").is_none() && body["spec"].get("addresses").is_none(), "{body}");
    let annotations = body["metadata"]["annotations"].as_object().into_iter().flatten();
    for (key, _) in annotations {
        assert!(key.starts_with(MODULE_PREFIX) || key == "aeraki.net/revision", "{body}");
    }
    check_text(&document.with(&apply));
    Ok(())
}

/// An address that would lead a mesh to a proxy's own ports or a cloud's metadata server.
fn steers(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast(),
    }
}

/// Checks that the content written into a file is read from it again.
fn check_text(object: &Value) {
    let text = serde_saphyr::to_string(object).expect("an object can be written as YAML");
    let documents = Document::parse_all(text.as_bytes(), "written").expect("what was written can be read");
    assert_eq!(documents.len(), 1, "{text}");
    assert_eq!(&documents[0].value, object, "{text}");
}
