//! An instance as tests describe it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// An instance to register. What is not set is left out of the request, so
/// that the server's own defaults apply.
#[derive(Clone, Debug)]
pub struct Instance {
    namespace: String,
    service: String,
    host: String,
    port: u16,
    fields: BTreeMap<&'static str, Value>,
}

impl Instance {
    /// An instance of a service, at a host and port.
    pub fn new(namespace: &str, service: &str, host: &str, port: u16) -> Self {
        Self { namespace: namespace.into(), service: service.into(), host: host.into(), port, fields: BTreeMap::new() }
    }

    /// Its protocol.
    pub fn protocol(self, protocol: &str) -> Self {
        self.set("protocol", json!(protocol))
    }

    /// Its version.
    pub fn version(self, version: &str) -> Self {
        self.set("version", json!(version))
    }

    /// Its weight; 100 by default, 0 for no traffic.
    pub fn weight(self, weight: u32) -> Self {
        self.set("weight", json!(weight))
    }

    /// Whether it is drained. Registering again does not change it.
    pub fn isolate(self, isolate: bool) -> Self {
        self.set("isolate", json!(isolate))
    }

    /// Whether it is healthy. Registering always makes it so.
    pub fn healthy(self, healthy: bool) -> Self {
        self.set("healthy", json!(healthy))
    }

    /// Where it runs.
    pub fn location(self, region: &str, zone: &str, campus: &str) -> Self {
        self.set("location", json!({"region": region, "zone": zone, "campus": campus}))
    }

    /// Adds a pair of metadata.
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.fields.entry("metadata").or_insert_with(|| json!({}))[key] = json!(value);
        self
    }

    /// Makes it turn unhealthy some seconds after the last heartbeat: about
    /// three times the `ttl`.
    pub fn health_check(self, ttl_seconds: u32) -> Self {
        let check = json!({"type": "HEARTBEAT", "heartbeat": {"ttl": ttl_seconds}});
        self.set("enable_health_check", json!(true)).set("health_check", check)
    }

    fn set(mut self, field: &'static str, value: Value) -> Self {
        self.fields.insert(field, value);
        self
    }

    /// The name of the instance.
    pub(super) fn key(&self) -> Value {
        json!({
            "namespace": self.namespace,
            "service": self.service,
            "host": self.host,
            "port": self.port,
        })
    }

    /// All of it.
    pub(super) fn body(&self) -> Value {
        let mut body = self.key();
        for (field, value) in &self.fields {
            body[field] = value.clone();
        }
        body
    }
}
