//! The registry's lists of services, as they come by HTTP and by gRPC, on through the names that policies make of them.

use polaris2istio::policy::naming::render;
use polaris2istio::registry::{Listing, RegistryError, decode_listing, decode_services_message};

pub(crate) fn listing(data: &[u8]) {
    check(decode_listing(data, "fuzz"));
}

pub(crate) fn message(data: &[u8]) {
    check(decode_services_message(data, "fuzz"));
}

fn check(decoded: Result<Listing, RegistryError>) {
    let catalogue = match decoded {
        Ok(Listing::Listed(catalogue)) => catalogue,
        Ok(Listing::Unchanged) => return,
        // A message is for a log line: it must not hold the answer.
        Err(error) => return assert!(error.to_string().len() < 4_096, "{error}"),
    };
    for name in catalogue.services.keys() {
        let made = render("{service}.polaris", name, "default").expect("any name can be made one");
        assert!(made.len() <= 253 && made.split('.').all(|label| !label.is_empty() && label.len() <= 63), "{made}");
    }
}
