//! The registry service that an entry names. Here, and in the request that is made of both, the two sides meet.

use polaris2istio_core::diagnostic::Code;
use polaris2istio_core::model::{Diagnostic, Outcome, Service, Severity, Subject};

use crate::annotation::{NAMESPACE, SERVICE};
use crate::istio::ServiceEntry;
use crate::registry::ServiceKey;

/// The service that an entry names; `None` if an annotation is missing or empty. Whether the names are fit is for the
/// rules to say.
pub fn binding(entry: &ServiceEntry) -> Option<ServiceKey> {
    let value = |key| entry.annotation(key).filter(|value| !value.trim().is_empty()).map(str::to_owned);
    Some(ServiceKey { namespace: value(NAMESPACE)?, name: value(SERVICE)? })
}

/// A service without instances: the module is given this if there is no such service.
pub fn empty_service(key: Option<&ServiceKey>) -> Service {
    let part = |get: fn(&ServiceKey) -> &String| key.map(get).cloned().unwrap_or_default();
    Service {
        namespace: part(|key| &key.namespace),
        name: part(|key| &key.name),
        revision: String::new(),
        metadata: Vec::new(),
        instances: Vec::new(),
    }
}

/// Says that the registry has no such service, in the place of what a module says of one that lists no instance.
pub fn tell_missing(outcome: &mut Outcome, service: &ServiceKey) {
    outcome.diagnostics.retain(|diagnostic| diagnostic.code != Code::NoEndpoints.as_str());
    outcome.diagnostics.push(Diagnostic {
        severity: Severity::Warning,
        code: "service-missing".into(),
        subject: Subject::Service,
        message: format!("the registry has no such service as `{service}`"),
        remedy: format!("Check the annotations {NAMESPACE} and {SERVICE}, or register the service."),
    });
}
