//! What the API server's CRD rules and istiod's webhook refuse, written from their descriptions and not from the rules'
//! code, so that one mistake is not made twice. Sources: Istio's `ServiceEntry` CRD and `ValidateServiceEntry`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use polaris2istio_core::diagnostic::Code;
use polaris2istio_core::model::{Declarer, Entry, Outcome, Request, Resolution, Subject, Update, Verdict};

const PROTOCOLS: [&str; 12] =
    ["tcp", "udp", "grpc", "grpc-web", "http", "http_proxy", "http2", "https", "tls", "mongo", "redis", "mysql"];

fn every(text: &str, more: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn edges(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn dns_label(text: &str) -> bool {
    text.len() <= 63 && every(text, "-") && edges(text)
}

fn fqdn(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 255
        && name.split('.').all(dns_label)
        && name.split('.').next_back().is_some_and(|last| last.parse::<i64>().is_err())
}

fn qualified(name: &str) -> bool {
    name.len() <= 63 && every(name, "-_.") && edges(name)
}

fn label(key: &str, value: &str) -> Result<(), String> {
    let (prefix, name) = key.split_once('/').unwrap_or(("", key));
    let prefix_fits = !key.contains('/') || (prefix.len() <= 253 && prefix.split('.').all(dns_label));
    let reserved = prefix.ends_with("istio.io") || prefix.ends_with("k8s.io") || prefix.ends_with("kubernetes.io");
    if !prefix_fits || !qualified(name) || !(value.is_empty() || qualified(value)) {
        return Err(format!("label {key}={value}"));
    }
    if reserved || key == "istio-locality" || key.starts_with("internal-") {
        return Err(format!("reserved label {key}"));
    }
    Ok(())
}

fn steers_inward(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_multicast(),
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || v6.to_ipv4().is_some_and(|v4| steers_inward(IpAddr::V4(v4)))
        }
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn sorted<T: Ord>(keys: impl Iterator<Item = T>) -> bool {
    let keys: Vec<_> = keys.collect();
    keys.windows(2).all(|pair| pair[0] < pair[1])
}

/// Checks that an update may be written to the entry.
pub fn update(entry: &Entry, update: &Update) -> Result<(), String> {
    let ports = ports(entry, update)?;
    let resolution = update.resolution.or(entry.resolution).unwrap_or(Resolution::None);
    ensure(!entry.has_workload_selector, || "endpoints beside a workloadSelector".to_owned())?;
    match resolution {
        Resolution::None => ensure(update.endpoints.is_empty(), || "NONE mode cannot set endpoints".to_owned())?,
        Resolution::Static => {}
        Resolution::Dns => {
            let cidr = entry.addresses.iter().any(|address| address.contains('/'));
            ensure(!cidr, || "CIDR addresses with DNS".to_owned())?;
            let wild = entry.hosts.iter().any(|host| !fqdn(host));
            ensure(!wild || !update.endpoints.is_empty(), || {
                "hosts must be FQDN if no endpoints are provided".to_owned()
            })?;
        }
        Resolution::DnsRoundRobin | Resolution::DynamicDns => return Err(format!("{resolution:?}")),
    }
    if resolution != Resolution::None && entry.hosts.len() > 1 {
        for (name, protocol) in &ports {
            let apart = ["http", "http2", "http_proxy", "grpc", "grpc-web", "https", "tls"];
            ensure(apart.contains(&protocol.as_str()), || format!("multiple hosts with {protocol} port {name}"))?;
        }
    }
    ensure(update.endpoints.len() <= 4096, || "endpoints".to_owned())?;
    for endpoint in &update.endpoints {
        let address = endpoint.address.as_str();
        ensure((1..=256).contains(&address.len()), || format!("address {address:?}"))?;
        match address.parse::<IpAddr>() {
            Ok(ip) => ensure(!steers_inward(ip), || format!("forbidden address {address}"))?,
            Err(_) => ensure(resolution == Resolution::Dns && fqdn(address), || {
                format!("address {address:?} in {resolution:?}")
            })?,
        }
        ensure(endpoint.ports.len() <= 128 && sorted(endpoint.ports.iter()), || "endpoint ports".to_owned())?;
        for (name, port) in &endpoint.ports {
            ensure(ports.contains_key(name), || format!("endpoint port {name} is not defined by the service entry"))?;
            ensure(name.len() < 63 && every(name, "-") && edges(name), || format!("endpoint port name {name}"))?;
            ensure((1..=65535).contains(port), || format!("endpoint port {port}"))?;
        }
        ensure(endpoint.labels.len() <= 256 && sorted(endpoint.labels.iter().map(|(key, _)| key)), || {
            "endpoint labels".to_owned()
        })?;
        for (key, value) in &endpoint.labels {
            label(key, value)?;
        }
        ensure(endpoint.weight > 0, || "weight 0".to_owned())?;
        ensure(endpoint.locality.len() <= 2048 && endpoint.locality.split('/').count() <= 3, || {
            format!("locality {}", endpoint.locality)
        })?;
    }
    for endpoint in &update.endpoints {
        if let Some(account) = &endpoint.service_account {
            let subdomain = account.split('.').all(|part| dns_label(part) && part == part.to_lowercase());
            ensure(subdomain && account.len() <= 253, || format!("service account {account:?}"))?;
        }
        if let Some(network) = &endpoint.network {
            let plain = !network.contains(|c: char| c.is_whitespace() || c.is_control());
            ensure(plain && (1..=2048).contains(&network.len()), || format!("network {network:?}"))?;
        }
    }
    ensure(update.annotations.iter().all(|(key, _)| key.starts_with("polaris2istio.aeraki.net/")), || {
        "annotations".to_owned()
    })
}

/// Name and protocol, in lower case, of every port that the entry would have.
fn ports(entry: &Entry, update: &Update) -> Result<BTreeMap<String, String>, String> {
    let mut ports = BTreeMap::new();
    let mut numbers = BTreeSet::new();
    let declared = entry
        .ports
        .iter()
        .filter(|port| port.declared_by == Declarer::Other)
        .map(|port| (&port.name, port.number, &port.protocol));
    let derived = update.ports.iter().map(|port| (&port.name, port.number, &port.protocol));
    for (name, number, protocol) in declared.chain(derived) {
        ensure(dns_label(name), || format!("port name {name}"))?;
        ensure((1..=65535).contains(&number), || format!("port number {number}"))?;
        ensure(numbers.insert(number), || format!("port number {number} twice"))?;
        ensure(ports.insert(name.clone(), protocol.to_ascii_lowercase()).is_none(), || {
            format!("port name {name} twice")
        })?;
    }
    for port in &update.ports {
        ensure(PROTOCOLS.contains(&port.protocol.to_ascii_lowercase().as_str()), || {
            format!("protocol {}", port.protocol)
        })?;
        ensure(port.protocol == port.protocol.to_ascii_uppercase(), || format!("protocol {}", port.protocol))?;
        ensure(port.target_port.is_none_or(|port| (1..=65535).contains(&port)), || "targetPort".to_owned())?;
    }
    ensure(ports.len() <= 256, || "ports".to_owned())?;
    ensure(sorted(update.ports.iter().map(|port| &port.name)), || "order of ports".to_owned())?;
    Ok(ports)
}

/// Checks everything that an outcome promises.
pub fn outcome(request: &Request, outcome: &Outcome) -> Result<(), String> {
    for diagnostic in &outcome.diagnostics {
        let code = &diagnostic.code;
        ensure(Code::ALL.iter().any(|known| known.as_str() == code), || format!("unknown code {code}"))?;
        ensure((1..=1024).contains(&diagnostic.message.len()), || format!("{code}: message {}", diagnostic.message))?;
        ensure(!diagnostic.message.contains(char::is_control), || format!("{code}: control character"))?;
        ensure(diagnostic.remedy.len() <= 1024, || format!("{code}: remedy {}", diagnostic.remedy))?;
        ensure(!diagnostic.remedy.contains(char::is_control), || format!("{code}: control character"))?;
    }
    let Verdict::Update(found) = &outcome.verdict else {
        let said = outcome.verdict != Verdict::Rejected || !outcome.diagnostics.is_empty();
        return ensure(said, || "rejected without a reason".to_owned());
    };
    update(&request.entry, found)?;
    let mut fates: Vec<u32> = found.endpoints.iter().flat_map(|endpoint| endpoint.instances.clone()).collect();
    let placed = fates.len();
    fates.sort_unstable();
    fates.dedup();
    ensure(placed == fates.len(), || "an instance stands in two endpoints".to_owned())?;
    for endpoint in &found.endpoints {
        let own = endpoint.instances.iter().collect::<BTreeSet<_>>().len();
        ensure(own == endpoint.instances.len(), || "an instance is named twice".to_owned())?;
    }
    for (index, instance) in (0..).zip(&request.service.instances) {
        let explained = outcome.diagnostics.iter().any(|found| found.subject == Subject::Instance(index));
        let placed = fates.binary_search(&index).is_ok();
        ensure(placed != explained, || format!("placed {placed}, explained {explained}: {instance:?}"))?;
    }
    Ok(())
}
