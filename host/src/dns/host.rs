//! The hosts that a cluster's DNS can be made to resolve, with no change to its configuration.
//!
//! A pod's search list completes `<name>.<service>.<namespace>` to `<name>.<service>.<namespace>.svc.cluster.local`, which
//! is the name of an endpoint of a headless Service (<https://github.com/kubernetes/dns/blob/master/docs/specification.md>).

use polaris2istio_core::address::is_dns_label;

use super::refusal::Unfit;

/// A host that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host<'a> {
    /// `<name>.<service>.<namespace of the entry>`: an endpoint of a headless Service.
    Dotted { name: &'a str, service: &'a str },
    /// `<service>.<namespace of the entry>`: a Service.
    Flat { service: &'a str },
}

impl<'a> Host<'a> {
    /// Reads a host of an entry in this namespace.
    pub(super) fn read(host: &'a str, namespace: &str) -> Result<Self, Unfit> {
        let labels: Vec<&str> = host.split('.').collect();
        if let Some(label) = labels.iter().find(|label| label.len() > 63) {
            return Err(Unfit::Long(label.len()));
        }
        if let Some(label) = labels.iter().find(|label| !is_dns_label(label) || label.contains(char::is_uppercase)) {
            return Err(Unfit::Label((*label).into()));
        }
        if labels.last() != Some(&namespace) {
            return Err(Unfit::Namespace(namespace.into()));
        }
        let (found, service) = match labels[..] {
            [name, service, _] => (Self::Dotted { name, service }, service),
            [service, _] => (Self::Flat { service }, service),
            _ => return Err(Unfit::Depth(labels.len())),
        };
        // Clusters before Kubernetes 1.36 refuse such a Service.
        if service.starts_with(|first: char| !first.is_ascii_lowercase()) {
            return Err(Unfit::Digit(service.into()));
        }
        Ok(found)
    }
}
