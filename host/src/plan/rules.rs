//! The rules of the API server, of istiod's webhook and of the design, checked on every module's answer.
//!
//! The default rules never break one. Another module may, and its answer must cost one entry a diagnostic, not a refused
//! request at every try.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use polaris2istio_core::address::{Address, Forbidden, is_dns_label};
use polaris2istio_core::identity::{self, LONGEST_NETWORK, LONGEST_SERVICE_ACCOUNT};
use polaris2istio_core::labels::{self, Fate};
use polaris2istio_core::limits;
use polaris2istio_core::parameters::Parameters;
use polaris2istio_core::protocol::IstioProtocol;

use super::Desired;
use crate::annotation::{GONE_SINCE, MODULE_PREFIX, POLICY, REVISION};
use crate::istio::{Endpoint, Port, Resolution, ServiceEntry};

/// The addresses that endpoints may have. The default rules are given the same as parameters.
pub type AddressRule = Parameters;

/// All annotations of an object together, in bytes (Kubernetes' limit).
const ANNOTATIONS: usize = 256 << 10;
/// A locality, in bytes (the CRD's limit).
const LOCALITY: usize = 2048;

/// A rule that an entry breaks, whatever a module says, or the module's answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} breaks a rule: {field}: {detail}", if *.of_entry { "the entry itself" } else { "the module's answer" })]
pub struct Violation {
    /// Path of the field.
    pub field: String,
    /// The breach, in words.
    pub detail: String,
    /// The entry is at fault, and no module can mend it.
    pub of_entry: bool,
}

/// Checks the desired content of an entry, together with the fields that others declared on it.
pub fn check(desired: &Desired, live: &ServiceEntry, addresses: &AddressRule) -> Result<(), Violation> {
    check_declared(live)?;
    let resolution = desired.resolution.or(live.spec.resolution).unwrap_or(Resolution::None);
    let ports = service_ports(desired, live)?;
    check_shape(desired, live, resolution)?;
    for (position, endpoint) in desired.endpoints.iter().enumerate() {
        check_endpoint(endpoint, resolution, &ports, addresses)
            .map_err(|(field, detail)| violation(format!("spec.endpoints[{position}].{field}"), detail))?;
    }
    check_annotations(desired)
}

/// The rule for an endpoint that is in an entry already: it may stay without a weight, since another writer may have left
/// that out.
pub struct EndpointRule<'a> {
    resolution: Resolution,
    ports: BTreeMap<&'a str, &'a Port>,
    addresses: &'a AddressRule,
}

impl<'a> EndpointRule<'a> {
    /// The rule for an entry with this content, together with the fields that others declared on it.
    ///
    /// # Errors
    /// Its ports break a rule themselves.
    pub fn new(desired: &'a Desired, live: &'a ServiceEntry, addresses: &'a AddressRule) -> Result<Self, Violation> {
        let resolution = desired.resolution.or(live.spec.resolution).unwrap_or(Resolution::None);
        Ok(Self { resolution, ports: service_ports(desired, live)?, addresses })
    }

    /// Whether the entry may have this endpoint.
    pub fn accepts(&self, endpoint: &Endpoint) -> bool {
        self.resolution != Resolution::None
            && check_address(&endpoint.address, self.resolution, self.addresses).is_ok()
            && endpoint.ports.iter().all(|(name, _)| self.ports.contains_key(name))
    }
}

fn violation(field: impl Into<String>, detail: impl Into<String>) -> Violation {
    Violation { field: field.into(), detail: detail.into(), of_entry: false }
}

/// Whether the ports that others declared can stand beside each other. Custom resources of older releases of Istio let two of
/// one number through, and files are checked by nobody.
fn check_declared(live: &ServiceEntry) -> Result<(), Violation> {
    let declared = |port: &Port| live.ownership.others_of_port(&port.name).next().is_some();
    let fault = |at: usize, part: &str, detail| {
        Err(Violation { field: format!("spec.ports[{at}].{part}"), detail, of_entry: true })
    };
    let mut names = HashSet::new();
    let mut numbers: BTreeMap<u32, &str> = BTreeMap::new();
    for (at, port) in live.spec.ports.iter().enumerate().filter(|(_, port)| declared(port)) {
        if !names.insert(port.name.as_str()) {
            let detail = format!("`{}` is the name of another port too; give each port a name of its own", port.name);
            return fault(at, "name", detail);
        }
        if let Some(other) = numbers.insert(port.number, &port.name) {
            let (number, detail) = (port.number, "give each port a number of its own");
            return fault(
                at,
                "number",
                format!("port `{}` has number {number}, as port `{other}` has; {detail}", port.name),
            );
        }
    }
    Ok(())
}

fn check_shape(desired: &Desired, live: &ServiceEntry, resolution: Resolution) -> Result<(), Violation> {
    let count = desired.endpoints.len();
    if count > limits::ENDPOINTS {
        return Err(violation("spec.endpoints", format!("{count} of them; an entry holds {}", limits::ENDPOINTS)));
    }
    let weights: u64 = desired.endpoints.iter().filter_map(|endpoint| endpoint.weight).map(u64::from).sum();
    if weights > limits::WEIGHTS {
        let detail = format!("their weights sum up to {weights}; Envoy takes {}", limits::WEIGHTS);
        return Err(violation("spec.endpoints", detail));
    }
    if live.spec.workload_selector.is_some() {
        return Err(violation("spec.workloadSelector", "is there, and excludes endpoints"));
    }
    if resolution == Resolution::None && count > 0 {
        return Err(violation("spec.resolution", "NONE forbids endpoints; give STATIC or DNS"));
    }
    if resolution == Resolution::DnsRoundRobin && count > 1 {
        return Err(violation("spec.endpoints", format!("{count} of them; DNS_ROUND_ROBIN takes one")));
    }
    Ok(())
}

/// The ports that the entry would have, by name.
fn service_ports<'a>(desired: &'a Desired, live: &'a ServiceEntry) -> Result<BTreeMap<&'a str, &'a Port>, Violation> {
    let declared = live.spec.ports.iter().filter(|port| live.ownership.others_of_port(&port.name).next().is_some());
    let mut ports: BTreeMap<&str, &Port> = declared.map(|port| (port.name.as_str(), port)).collect();
    let mut own = HashSet::new();
    for port in &desired.ports {
        let field = |part: &str| format!("spec.ports[{}].{part}", port.name);
        if !own.insert(port.name.as_str()) {
            return Err(violation(field("name"), "is there twice"));
        }
        if !is_dns_label(&port.name) || port.name.len() > 62 || port.name.bytes().any(|byte| byte.is_ascii_uppercase())
        {
            return Err(violation(field("name"), "is not a DNS label of at most 62 characters in lower case"));
        }
        if !(1..=65535).contains(&port.number) || port.target_port.is_some_and(|port| !(1..=65535).contains(&port)) {
            return Err(violation(field("number"), "is not between 1 and 65535"));
        }
        if IstioProtocol::read(&port.protocol).is_none() {
            return Err(violation(field("protocol"), format!("`{}` is none that Istio accepts", port.protocol)));
        }
        // A port that another manager declared stays as it is; ours of the same name is left out of the apply.
        ports.entry(&port.name).or_insert(port);
    }
    if ports.len() > limits::PORTS {
        return Err(violation("spec.ports", format!("{} of them; an entry holds {}", ports.len(), limits::PORTS)));
    }
    let mut numbers = BTreeSet::new();
    match ports.values().find(|port| !numbers.insert(port.number)) {
        Some(port) => Err(violation(
            format!("spec.ports[{}].number", port.name),
            format!("{} is taken by another port", port.number),
        )),
        None => Ok(ports),
    }
}

type Fault = (&'static str, String);

fn check_endpoint(
    endpoint: &Endpoint,
    resolution: Resolution,
    ports: &BTreeMap<&str, &Port>,
    addresses: &AddressRule,
) -> Result<(), Fault> {
    check_address(&endpoint.address, resolution, addresses)?;
    if endpoint.ports.len() > limits::ENDPOINT_PORTS {
        return Err(("ports", format!("{} of them; an endpoint has {}", endpoint.ports.len(), limits::ENDPOINT_PORTS)));
    }
    for (name, port) in endpoint.ports.iter() {
        if !ports.contains_key(name) {
            return Err(("ports", format!("`{name}` is no service port of the entry")));
        }
        if !(1..=65535).contains(port) {
            return Err(("ports", format!("{name}: {port} is not between 1 and 65535")));
        }
    }
    if endpoint.labels.len() > labels::MOST {
        return Err(("labels", format!("{} of them; an endpoint has {}", endpoint.labels.len(), labels::MOST)));
    }
    if let Some((key, _)) =
        endpoint.labels.iter().find(|(key, value)| !matches!(labels::fate(key, value), Fate::Passed | Fate::Noise))
    {
        return Err(("labels", format!("`{key}` is not a valid label, or one that only Istio and Kubernetes may set")));
    }
    if endpoint.weight.is_none_or(|weight| weight == 0) {
        return Err(("weight", "is 0, which Istio reads as 1; leave the endpoint out".into()));
    }
    if endpoint.locality.len() > LOCALITY {
        return Err(("locality", format!("is longer than {LOCALITY} bytes")));
    }
    check_identity(endpoint)
}

/// Empty is none.
fn check_identity(endpoint: &Endpoint) -> Result<(), Fault> {
    let (account, network) = (&endpoint.service_account, &endpoint.network);
    if !account.is_empty() && !identity::is_service_account(account) {
        return Err((
            "serviceAccount",
            format!(
                "`{account}` is no service account: a DNS name in lower case of at most {LONGEST_SERVICE_ACCOUNT} characters"
            ),
        ));
    }
    if !network.is_empty() && !identity::is_network(network) {
        return Err((
            "network",
            format!("`{network}` is no network: a text without spaces of at most {LONGEST_NETWORK} bytes"),
        ));
    }
    Ok(())
}

fn check_address(address: &str, resolution: Resolution, rule: &AddressRule) -> Result<(), Fault> {
    let Some(read) = Address::read(address) else {
        return Err(("address", format!("`{address}` is neither an IP address nor a DNS name")));
    };
    if read.is_name() && resolution == Resolution::Static {
        return Err(("address", format!("`{address}` is a name, and STATIC takes IP addresses only")));
    }
    let reason = read.forbidden().filter(|reason| !(rule.allow_loopback && *reason == Forbidden::Loopback));
    if let Some(reason) = reason {
        return Err(("address", format!("`{address}` is {reason}, to which no registration may steer the mesh")));
    }
    match read {
        Address::Ip(ip, _) if !rule.permits(ip) => {
            Err(("address", format!("`{address}` is outside of --address-cidrs")))
        }
        _ => Ok(()),
    }
}

/// Annotations that a module may not set: by these the host knows what it may write and delete.
const NOT_OF_MODULES: [&str; 3] = [REVISION, POLICY, GONE_SINCE];

fn check_annotations(desired: &Desired) -> Result<(), Violation> {
    let foreign = desired
        .annotations
        .keys()
        .find(|key| !key.starts_with(MODULE_PREFIX) || NOT_OF_MODULES.contains(&key.as_str()));
    if let Some(key) = foreign {
        return Err(violation(
            format!("metadata.annotations[{key}]"),
            format!("a module may set annotations under {MODULE_PREFIX} only"),
        ));
    }
    let size: usize = desired.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > ANNOTATIONS {
        return Err(violation(
            "metadata.annotations",
            format!("{size} bytes; all annotations together may have {ANNOTATIONS}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn desired(endpoint: Value) -> Desired {
        Desired {
            resolution: Some(Resolution::Static),
            location: None,
            ports: vec![serde_json::from_value(json!({"name": "http", "number": 80, "protocol": "HTTP"})).unwrap()],
            endpoints: [serde_json::from_value(endpoint).unwrap()].into(),
            annotations: Default::default(),
            revision: "r".into(),
        }
    }

    #[track_caller]
    fn check_fault(endpoint: Value, fault: &str) {
        let found = check(&desired(endpoint), &ServiceEntry::default(), &AddressRule::default());
        assert!(found.as_ref().is_err_and(|found| found.to_string().contains(fault)), "{found:?} names {fault}");
    }

    #[test]
    fn accepts_what_is_fit() {
        let fit = desired(
            json!({"address": "10.0.0.1", "ports": {"http": 8080}, "weight": 1, "labels": {"version": "v1"}, "serviceAccount": "orders", "network": "vpc-1"}),
        );
        assert_eq!(check(&fit, &ServiceEntry::default(), &AddressRule::default()), Ok(()));
    }

    #[test]
    fn refuses_what_is_not() {
        check_fault(json!({"address": "127.0.0.1", "weight": 1}), "address");
        check_fault(json!({"address": "169.254.169.254", "weight": 1}), "address");
        check_fault(json!({"address": "::ffff:127.0.0.1", "weight": 1}), "address");
        check_fault(json!({"address": "host.example", "weight": 1}), "STATIC takes IP addresses only");
        check_fault(json!({"address": "not valid", "weight": 1}), "neither an IP address nor a DNS name");
        check_fault(json!({"address": "10.0.0.1"}), "weight");
        check_fault(json!({"address": "10.0.0.1", "weight": 1, "ports": {"grpc": 1}}), "no service port");
        check_fault(json!({"address": "10.0.0.1", "weight": 1, "ports": {"http": 0}}), "between 1 and 65535");
        check_fault(
            json!({"address": "10.0.0.1", "weight": 1, "labels": {"security.istio.io/tlsMode": "istio"}}),
            "labels",
        );
        check_fault(json!({"address": "10.0.0.1", "weight": 1, "labels": {"a b": ""}}), "labels");
        check_fault(json!({"address": "10.0.0.1", "weight": 1, "serviceAccount": "ns/other"}), "serviceAccount");
        check_fault(json!({"address": "10.0.0.1", "weight": 1, "network": "a b"}), "network");
    }

    #[test]
    fn refuses_annotations_that_are_not_a_modules() {
        let mut wanted = desired(json!({"address": "10.0.0.1", "weight": 1}));
        wanted.annotations.insert("aeraki.net/polarisService".into(), "other".into());
        let found = check(&wanted, &ServiceEntry::default(), &AddressRule::default());
        assert!(found.is_err_and(|found| found.field == "metadata.annotations[aeraki.net/polarisService]"));
    }

    #[test]
    fn refuses_weights_that_envoy_cannot_sum() {
        let heavy = |address: &str, weight: u32| serde_json::from_value(json!({"address": address, "weight": weight}));
        let mut wanted = desired(json!({"address": "10.0.0.1", "weight": 1}));
        for (weight, expected) in [(u32::MAX - 1, None), (u32::MAX, Some("spec.endpoints"))] {
            wanted.endpoints = [heavy("10.0.0.1", 1).unwrap(), heavy("10.0.0.2", weight).unwrap()].into();
            let found = check(&wanted, &ServiceEntry::default(), &AddressRule::default());
            assert_eq!(found.as_ref().err().map(|found| found.field.as_str()), expected, "{found:?}");
        }
    }

    #[test]
    fn two_ports_of_one_number_or_name_are_the_entrys_fault() {
        let check = |ports: Value, expected: Option<&str>| {
            let mut live: ServiceEntry =
                serde_json::from_value(json!({"metadata": {}, "spec": {"ports": ports}})).unwrap();
            let names = live.spec.ports.iter().map(|port| port.name.clone()).collect();
            let claim = crate::istio::Claim {
                manager: "an operator".into(),
                ours: false,
                ports: crate::istio::Ports::Named(names),
                spec: Default::default(),
                annotations: Default::default(),
            };
            live.ownership = crate::istio::Ownership::new(vec![claim]);
            let mut wanted = desired(json!({"address": "10.0.0.1", "weight": 1}));
            wanted.ports.clear();
            let found = super::check(&wanted, &live, &AddressRule::default()).err().map(|found| found.to_string());
            assert_eq!(found.as_deref(), expected);
        };
        let port = |name: &str, number: u32| json!({"name": name, "number": number, "protocol": "HTTP"});
        check(json!([port("a", 1), port("b", 2)]), None);
        check(
            json!([port("a", 1), port("b", 1)]),
            Some(
                "the entry itself breaks a rule: spec.ports[1].number: port `b` has number 1, as port `a` has; give each port a number of its own",
            ),
        );
        check(
            json!([port("a", 1), port("b", 2), port("a", 3)]),
            Some(
                "the entry itself breaks a rule: spec.ports[2].name: `a` is the name of another port too; give each port a name of its own",
            ),
        );
    }

    #[test]
    fn refuses_two_ports_of_one_number() {
        let mut wanted = desired(json!({"address": "10.0.0.1", "weight": 1}));
        wanted.ports.push(Port { name: "other".into(), number: 80, protocol: "TCP".into(), target_port: None });
        let found = check(&wanted, &ServiceEntry::default(), &AddressRule::default());
        assert!(found.is_err_and(|found| found.detail.contains("taken by another port")));
    }
}
