//! Requests for the misbehaving guest.

use polaris2istio_core::model::{Entry, Instance, Location, Outcome, Service, Verdict};

/// A service of one instance that tells the guest how to behave.
pub(crate) fn service(behaviour: Option<&str>) -> Service {
    Service {
        namespace: "prod".into(),
        name: "orders".into(),
        revision: "r1".into(),
        metadata: behaviour.map(|value| ("behaviour".into(), value.into())).into_iter().collect(),
        instances: vec![instance()],
    }
}

pub(crate) fn instance() -> Instance {
    Instance {
        id: "a".into(),
        host: "10.0.0.1".into(),
        port: 8080,
        protocol: "tcp".into(),
        version: "v1".into(),
        weight: 100,
        priority: 1,
        healthy: true,
        isolated: false,
        location: Location { region: "r".into(), zone: "z".into(), campus: "c".into() },
        metadata: vec![("env".into(), "prod".into())],
    }
}

/// An entry without ports.
pub(crate) fn entry() -> Entry {
    Entry {
        namespace: "polaris".into(),
        name: "orders".into(),
        labels: vec![("manager".into(), "aeraki".into())],
        annotations: vec![("aeraki.net/polarisService".into(), "orders".into())],
        hosts: vec!["dev.orders.polaris".into()],
        addresses: vec!["240.0.0.1".into()],
        location: None,
        resolution: None,
        export_to: vec!["*".into()],
        has_workload_selector: false,
        ports: Vec::new(),
    }
}

/// Whether the guest did well: one endpoint for the one instance.
pub(crate) fn is_well(outcome: &Outcome) -> bool {
    matches!(&outcome.verdict, Verdict::Update(update) if update.endpoints.len() == 1)
}
