//! The names that one entry should have, and why it lacks others. A pure function, so that `explain` tells the same.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use polaris2istio_core::address::{forbidden, is_dns_label};

use super::dns_entry::DnsEntry;
use super::host::Host;
use super::mode::Mode;
use super::refusal::{Refusal, Unfit};
use crate::annotation::DNS_TARGET;

/// The most addresses of a family for one name: an answer of more no longer fits what resolvers take at once.
const MOST: usize = 100;

/// What holds for all entries.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--dns`.
    pub mode: Mode,
    /// `--cluster-domain`.
    pub cluster_domain: String,
}

/// A name to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Addresses of one family, by an endpoint of a headless Service.
    Addresses {
        /// The entry's host.
        host: String,
        /// The Service.
        service: String,
        /// The endpoint's hostname.
        name: String,
        /// IPv4 or IPv6.
        ipv4: bool,
        /// At least one, sorted.
        addresses: Vec<IpAddr>,
    },
    /// An alias, by an ExternalName Service.
    Alias {
        /// The entry's host.
        host: String,
        /// The Service.
        service: String,
        /// What it leads to.
        target: String,
    },
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses { host, addresses, .. } => {
                let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                write!(f, "{host} has {}", addresses.join(", "))
            }
            Self::Alias { host, target, .. } => write!(f, "{host} is an alias of {target}"),
        }
    }
}

/// What one entry should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The records; none where what is published must stay as it is.
    pub records: Option<Vec<Record>>,
    /// What is not published, and why.
    pub refusals: Vec<Refusal>,
}

/// The names that an entry should have.
pub fn names(bearer: &DnsEntry, settings: &Settings) -> Names {
    let mode = match bearer.dns.as_deref().map_or(Ok(settings.mode), str::parse) {
        Ok(mode) => mode,
        Err(error) => return Names { records: None, refusals: vec![error.into()] },
    };
    let mut found = Found { records: Vec::new(), refusals: Vec::new() };
    if mode != Mode::Off {
        let hosts: BTreeSet<&String> = bearer.hosts.iter().collect();
        for host in &hosts {
            match Host::read(host, &bearer.namespace) {
                Ok(Host::Dotted { name, service }) => found.addresses(bearer, mode, host, service, name),
                Ok(Host::Flat { service }) if mode == Mode::Cname => found.alias(bearer, settings, host, service),
                Ok(Host::Flat { .. }) => found.unfit(host, Unfit::Flat),
                Err(unfit) => found.unfit(host, unfit),
            }
        }
    }
    Names { records: Some(found.records), refusals: found.refusals }
}

struct Found {
    records: Vec<Record>,
    refusals: Vec<Refusal>,
}

impl Found {
    fn unfit(&mut self, host: &str, unfit: Unfit) {
        self.refusals.push(Refusal::Host { host: host.into(), unfit });
    }

    fn addresses(&mut self, bearer: &DnsEntry, mode: Mode, host: &str, service: &str, name: &str) {
        let candidates = match mode {
            Mode::Endpoints => bearer.endpoints.iter().filter_map(|address| address.parse().ok()).collect(),
            _ => bearer.virtual_ips(host),
        };
        if candidates.is_empty() {
            self.refusals.push(match mode {
                Mode::Endpoints => Refusal::NoEndpoint { host: host.into() },
                _ => Refusal::NoAddress { host: host.into(), reason: without_address(bearer) },
            });
        }
        let fit: BTreeSet<IpAddr> = candidates.into_iter().filter(|address| self.fits(host, *address)).collect();
        for ipv4 in [true, false] {
            let mut addresses: Vec<_> = fit.iter().copied().filter(|address| address.is_ipv4() == ipv4).collect();
            if addresses.len() > MOST {
                self.refusals.push(Refusal::Capped { host: host.into(), count: addresses.len(), published: MOST });
                addresses.truncate(MOST);
            }
            if !addresses.is_empty() {
                let (host, service, name) = (host.to_owned(), service.to_owned(), name.to_owned());
                self.records.push(Record::Addresses { host, service, name, ipv4, addresses });
            }
        }
    }

    fn fits(&mut self, host: &str, address: IpAddr) -> bool {
        let Some(kind) = forbidden(address) else { return true };
        let (host, address) = (host.to_owned(), address.to_string());
        self.refusals.push(Refusal::Address { host, address, kind });
        false
    }

    fn alias(&mut self, bearer: &DnsEntry, settings: &Settings, host: &str, service: &str) {
        match target(bearer, &settings.cluster_domain, host) {
            Ok(target) => {
                self.records.push(Record::Alias { host: host.into(), service: service.into(), target });
            }
            Err(detail) => self.refusals.push(Refusal::Target { host: host.into(), detail }),
        }
    }
}

/// Why an entry has no virtual IP.
fn without_address(bearer: &DnsEntry) -> &'static str {
    if bearer.trapped() {
        "istiod took it away and allocates none again: run with --repair-vip, or delete and create the entry"
    } else if !bearer.resolved {
        "its resolution is neither STATIC nor DNS, so istiod gives none: write STATIC, or an address in spec.addresses"
    } else if bearer.opted_out {
        "its label tells istiod to give none: drop the label, or write an address in spec.addresses"
    } else {
        "istiod has given none yet: it does from Istio 1.25 on; else write an address in spec.addresses"
    }
}

/// What an alias leads to: the annotation's target, else the entry's own first dotted host.
fn target(bearer: &DnsEntry, domain: &str, host: &str) -> Result<String, String> {
    let suffix = format!(".svc.{domain}");
    let Some(target) = bearer.target.as_deref().map(|target| target.trim_end_matches('.')) else {
        let dotted = |host: &&String| matches!(Host::read(host, &bearer.namespace), Ok(Host::Dotted { .. }));
        let own = bearer.hosts.iter().find(dotted).map(|host| format!("{host}{suffix}"));
        return own.ok_or_else(|| {
            format!("give the entry a host `<name>.<service>.{}` too, or a target in {DNS_TARGET}", bearer.namespace)
        });
    };
    let valid = target.len() <= 253 && target.split('.').all(is_dns_label) && !target.contains(char::is_uppercase);
    if !valid {
        return Err(format!("{DNS_TARGET}: `{target}` is no DNS name in lower case"));
    }
    if !target.ends_with(&suffix) {
        return Err(format!(
            "{DNS_TARGET}: `{target}` does not end in `{suffix}`, and the cluster's DNS follows an alias only into what it serves"
        ));
    }
    if target == format!("{host}{suffix}") {
        return Err(format!("{DNS_TARGET}: `{target}` is the alias itself"));
    }
    Ok(target.into())
}
