//! The names that one entry should have, and the reasons why it lacks others. A pure function, so that `explain` tells the
//! same.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use polaris2istio_core::address::{forbidden, is_dns_label};

use super::dns_entry::DnsEntry;
use super::host::Host;
use super::mode::Mode;
use super::refusal::{Refusal, Unfit};
use crate::annotation::DNS_TARGET;

/// The most addresses of a family for one name: an answer of more no longer fits what resolvers accept at once.
const MOST: usize = 100;

/// The settings for all entries.
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
        host: String,
        service: String,
        name: String,
        /// IPv4 or IPv6.
        ipv4: bool,
        /// At least one, sorted.
        addresses: Vec<IpAddr>,
    },
    /// An alias, by an ExternalName Service.
    Alias {
        host: String,
        service: String,
        /// The name that it points to.
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

/// The records of one entry, and the refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The records; `None` if the published ones must stay as they are.
    pub records: Option<Vec<Record>>,
    /// The records that are not published, and the reasons.
    pub refusals: Vec<Refusal>,
}

/// The names that an entry should have.
pub fn names(entry: &DnsEntry, settings: &Settings) -> Names {
    let mode = match entry.dns.as_deref().map_or(Ok(settings.mode), str::parse) {
        Ok(mode) => mode,
        Err(error) => return Names { records: None, refusals: vec![error.into()] },
    };
    let mut found = Found { records: Vec::new(), refusals: Vec::new() };
    if mode != Mode::Off {
        let hosts: BTreeSet<&String> = entry.hosts.iter().collect();
        for host in &hosts {
            match Host::read(host, &entry.namespace) {
                Ok(Host::Dotted { name, service }) => found.addresses(entry, mode, host, service, name),
                Ok(Host::Flat { service }) if mode == Mode::Cname => found.alias(entry, settings, host, service),
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

    fn addresses(&mut self, entry: &DnsEntry, mode: Mode, host: &str, service: &str, name: &str) {
        let candidates = match mode {
            Mode::Endpoints => entry.endpoints.iter().filter_map(|address| address.parse().ok()).collect(),
            _ => entry.virtual_ips(host),
        };
        if candidates.is_empty() {
            self.refusals.push(match mode {
                Mode::Endpoints => Refusal::NoEndpoint { host: host.into() },
                _ => Refusal::NoAddress { host: host.into(), reason: without_address(entry) },
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

    fn alias(&mut self, entry: &DnsEntry, settings: &Settings, host: &str, service: &str) {
        match target(entry, &settings.cluster_domain, host) {
            Ok(target) => {
                self.records.push(Record::Alias { host: host.into(), service: service.into(), target });
            }
            Err(detail) => self.refusals.push(Refusal::Target { host: host.into(), detail }),
        }
    }
}

/// The reason why an entry has no virtual IP.
fn without_address(entry: &DnsEntry) -> &'static str {
    if entry.has_lost_vip() {
        "istiod took it away and allocates none again: run with --repair-vip, or delete and create the entry"
    } else if !entry.resolved {
        "its resolution is neither STATIC nor DNS, so istiod gives none: write STATIC, or an address in spec.addresses"
    } else if entry.opted_out {
        "its label tells istiod to give none: drop the label, or write an address in spec.addresses"
    } else {
        "istiod has given none yet: it does from Istio 1.25 on; else write an address in spec.addresses"
    }
}

/// The target of an alias: by the annotation, else the entry's own first dotted host.
fn target(entry: &DnsEntry, domain: &str, host: &str) -> Result<String, String> {
    let suffix = format!(".svc.{domain}");
    let Some(target) = entry.target.as_deref().map(|target| target.trim_end_matches('.')) else {
        let dotted = |host: &&String| matches!(Host::read(host, &entry.namespace), Ok(Host::Dotted { .. }));
        let own = entry.hosts.iter().find(dotted).map(|host| format!("{host}{suffix}"));
        return own.ok_or_else(|| {
            format!("give the entry a host `<name>.<service>.{}` too, or a target in {DNS_TARGET}", entry.namespace)
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
