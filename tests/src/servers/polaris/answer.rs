//! An answer of the server, with the few things that tests ask of it. The
//! program under test has a decoder of its own, which this one must not share:
//! it is what that one is compared with.

use serde_json::Value;

/// An answer to `Discover`, as it came.
#[derive(Clone, Debug)]
pub struct Answer(pub Value);

impl Answer {
    /// Polaris's code: 200000 for success, 200001 for unchanged, 400202 for a
    /// service that does not exist.
    pub fn code(&self) -> u64 {
        self.0["code"].as_u64().unwrap_or_default()
    }

    /// The service's revision, empty if there is none.
    pub fn revision(&self) -> &str {
        self.0.pointer("/service/revision").and_then(Value::as_str).unwrap_or_default()
    }

    /// The instances, as they came.
    pub fn instances(&self) -> &[Value] {
        self.0["instances"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The hosts of the instances, sorted.
    pub fn hosts(&self) -> Vec<&str> {
        let mut hosts: Vec<_> = self.instances().iter().filter_map(|instance| instance["host"].as_str()).collect();
        hosts.sort_unstable();
        hosts
    }
}
