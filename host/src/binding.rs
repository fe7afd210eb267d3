//! Which registry service an entry names. Here, and in the request that is made of both, the two sides meet.

use polaris2istio_core::model::Service;

use crate::annotation::{NAMESPACE, SERVICE};
use crate::istio::ServiceEntry;
use crate::registry::ServiceKey;

/// The service that an entry names; `None` if an annotation is missing or empty. Whether the names are fit is for the
/// rules to say.
pub fn binding(entry: &ServiceEntry) -> Option<ServiceKey> {
    let value = |key| entry.annotation(key).filter(|value| !value.trim().is_empty()).map(str::to_owned);
    Some(ServiceKey { namespace: value(NAMESPACE)?, name: value(SERVICE)? })
}

/// A service without instances: a module is given it where there is no such service.
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
