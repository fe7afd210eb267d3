//! What the tests of the rules share: a plain request, hostile ones, and an independent check of what comes out.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod check;
pub mod hostile;

use polaris2istio_core::model::{Entry, Instance, Location, Request, Service};

/// One line of text pairs.
pub fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A healthy HTTP instance with four metadata entries, as the registry lists them.
pub fn instance(number: usize) -> Instance {
    Instance {
        id: format!("{number:040x}"),
        host: format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255),
        port: 8080,
        protocol: "http".to_owned(),
        version: "v1".to_owned(),
        weight: 100,
        priority: 0,
        healthy: true,
        isolated: false,
        location: Location {
            region: "ap-guangzhou".to_owned(),
            zone: "ap-guangzhou-3".to_owned(),
            campus: "campus-a".to_owned(),
        },
        metadata: pairs(&[("env", "prod"), ("protocol", "http"), ("team", "orders"), ("version", "v1")]),
    }
}

/// A bound entry without ports and resolution, and a service with so many plain instances.
pub fn request(instances: usize) -> Request {
    Request {
        service: Service {
            namespace: "prod".to_owned(),
            name: "orders".to_owned(),
            revision: "4a3079b143376f52d77068eb0885de99707f53ad".to_owned(),
            metadata: vec![],
            instances: (1..=instances).map(instance).collect(),
        },
        entry: Entry {
            namespace: "polaris".to_owned(),
            name: "orders".to_owned(),
            labels: pairs(&[("manager", "aeraki"), ("registry", "polaris")]),
            annotations: pairs(&[("aeraki.net/polarisNamespace", "prod"), ("aeraki.net/polarisService", "orders")]),
            hosts: vec!["dev.orders.polaris".to_owned()],
            addresses: vec![],
            location: None,
            resolution: None,
            export_to: vec![],
            has_workload_selector: false,
            ports: vec![],
        },
        parameters: vec![],
        published: None,
    }
}
