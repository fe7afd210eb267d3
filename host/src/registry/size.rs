//! The memory that content takes, roughly: so that all services together can be bounded.

use polaris2istio_core::model::{Instance, Service};

/// The memory that all services together may take. An instance as Polaris gives it takes some 1,200 bytes.
pub(super) const KEPT_LIMIT: usize = 128 << 20;

/// An allocation's own cost.
const ALLOCATION: usize = 16;

/// The memory that a service takes.
pub(super) fn size(service: &Service) -> usize {
    let instances: usize = service.instances.iter().map(of_instance).sum();
    size_of::<Service>() + pairs(&service.metadata) + instances
}

fn of_instance(instance: &Instance) -> usize {
    let place = &instance.location;
    let texts = [
        &instance.id,
        &instance.host,
        &instance.protocol,
        &instance.version,
        &place.region,
        &place.zone,
        &place.campus,
    ];
    size_of::<Instance>() + texts.iter().map(|text| of_text(text)).sum::<usize>() + pairs(&instance.metadata)
}

fn pairs(pairs: &[(String, String)]) -> usize {
    pairs.iter().map(|(key, value)| 2 * size_of::<String>() + of_text(key) + of_text(value)).sum()
}

fn of_text(text: &str) -> usize {
    if text.is_empty() { 0 } else { ALLOCATION + text.len() }
}
