//! The entry that a policy makes for a service.

use serde_json::{Map, Value, json};

use super::import::Template;
use super::naming::{is_host, render};
use crate::annotation::{NAMESPACE, SERVICE};
use crate::entries::LABELS;

/// An entry as it should be, but for what the controller writes into it.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    pub name: String,
    pub hosts: Vec<String>,
    pub labels: Map<String, Value>,
    pub annotations: Map<String, Value>,
    pub spec: Map<String, Value>,
}

impl Template {
    /// The entry of a service.
    ///
    /// # Errors
    /// Why the template has none for it.
    pub fn make(&self, namespace: &str, service: &str) -> Result<Made, String> {
        let rendered = |what: &str, template: &str| {
            render(template, service, namespace).ok_or_else(|| {
                format!(
                    "template.{what}: `{template}` makes no name of it that Kubernetes takes; make the template shorter"
                )
            })
        };
        let name = rendered("name", &self.name)?;
        let hosts = self.hosts.iter().map(|host| rendered("hosts", host)).collect::<Result<Vec<_>, _>>()?;
        if let Some(host) = hosts.iter().find(|host| !is_host(host)) {
            return Err(format!(
                "template.hosts: `{host}` would be an address, not a host; let the template end in letters"
            ));
        }
        let text = |pairs: &std::collections::BTreeMap<String, String>| -> Map<String, Value> {
            pairs.iter().map(|(key, value)| (key.clone(), json!(value))).collect()
        };
        let mut labels = text(&self.labels);
        labels.extend(LABELS.map(|(key, value)| (key.to_owned(), json!(value))));
        let mut annotations = text(&self.annotations);
        annotations.insert(NAMESPACE.into(), json!(namespace));
        annotations.insert(SERVICE.into(), json!(service));
        Ok(Made { name, spec: self.spec(&hosts), hosts, labels, annotations })
    }

    fn spec(&self, hosts: &[String]) -> Map<String, Value> {
        let mut spec = Map::new();
        spec.insert("hosts".into(), json!(hosts));
        spec.insert("resolution".into(), json!(self.resolution));
        if let Some(location) = self.location {
            spec.insert("location".into(), json!(location));
        }
        if !self.ports.is_empty() {
            spec.insert("ports".into(), json!(self.ports));
        }
        if !self.export_to.is_empty() {
            spec.insert("exportTo".into(), json!(self.export_to));
        }
        spec
    }
}

impl Made {
    /// The whole object, in this version of the API.
    pub fn object(&self, api_version: &str, namespace: &str) -> Value {
        json!({
            "apiVersion": api_version,
            "kind": crate::istio::KIND,
            "metadata": {
                "name": self.name, "namespace": namespace, "labels": self.labels, "annotations": self.annotations,
            },
            "spec": self.spec,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(value: Value) -> Template {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn makes_an_entry_that_the_controller_serves() {
        let template = template(json!({
            "hosts": ["{service}.polaris", "{service}.{namespace}.polaris"],
            "ports": [{"name": "grpc", "number": 80, "protocol": "GRPC-WEB", "targetPort": 8080}],
            "location": "MESH_INTERNAL", "exportTo": ["."],
            "labels": {"team": "shop"}, "annotations": {"aeraki.net/dns": "records"},
        }));
        let made = template.make("Default", "Cart").unwrap();
        assert_eq!(
            made.object("networking.istio.io/v1", "mesh"),
            json!({
                "apiVersion": "networking.istio.io/v1",
                "kind": "ServiceEntry",
                "metadata": {
                    "name": "cart-6d2d59aed4",
                    "namespace": "mesh",
                    "labels": {"manager": "aeraki", "registry": "polaris", "team": "shop"},
                    "annotations": {
                        "aeraki.net/polarisNamespace": "Default", "aeraki.net/polarisService": "Cart", "aeraki.net/dns": "records",
                    },
                },
                "spec": {
                    "hosts": ["cart-6d2d59aed4.polaris", "cart-6d2d59aed4.default-21b111cbfe.polaris"],
                    "ports": [{"name": "grpc", "number": 80, "protocol": "GRPC-WEB", "targetPort": 8080}],
                    "location": "MESH_INTERNAL", "resolution": "STATIC", "exportTo": ["."],
                },
            })
        );
    }

    #[test]
    fn refuses_what_no_server_would_take() {
        for (host, service, words) in
            [("{service}", "10.0.0.1", "would be an address"), ("{service}.1", "a", "would be an address")]
        {
            let error = template(json!({"hosts": [host]})).make("default", service).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let long = "x".repeat(70);
        let error = template(json!({"hosts": [format!("{long}{{service}}")]})).make("default", "a").unwrap_err();
        assert!(error.starts_with("template.hosts: ") && error.contains("shorter"), "{error}");
    }
}
