//! Every annotation that this program reads or writes, each key once, with its meaning and whom it is for.
//!
//! One list, since a key that is forgotten somewhere is a fault: the guard must know which annotations steer the host alone,
//! and so explain nothing that a module drops.

pub use polaris2istio_core::annotation::{EXTERNAL, NAMESPACE, NETWORK, PROTOCOL, SERVICE, SERVICE_ACCOUNT};

/// Under this prefix a module's own annotations are accepted, and under no other.
pub const MODULE_PREFIX: &str = "polaris2istio.aeraki.net/";

/// Overrides `--empty-hold`.
pub const EMPTY_HOLD: &str = "aeraki.net/emptyHold";
/// Overrides `--removal-hold`.
pub const REMOVAL_HOLD: &str = "aeraki.net/removalHold";
/// Overrides `--module-removal-limit`.
pub const MODULE_REMOVAL_LIMIT: &str = "aeraki.net/moduleRemovalLimit";
/// Stops all writes to the entry.
pub const PAUSED: &str = "aeraki.net/paused";
/// Lets the entry go with a canary: `candidate`.
pub const MODULE: &str = "aeraki.net/module";
/// Overrides `--dns`.
pub const DNS: &str = "aeraki.net/dns";
/// Names the target of the entry's CNAMEs.
pub const DNS_TARGET: &str = "aeraki.net/dnsTarget";

/// The registry's revision that caused the last write.
pub const REVISION: &str = "aeraki.net/revision";
/// The registry service that the entry's endpoints come from, as `namespace/name`. It outlives a restart, so that an
/// entry that was pointed at another service can be told from one whose service went empty.
pub const SOURCE: &str = "polaris2istio.aeraki.net/source";
/// The most endpoints that the entry had lately, and until when that counts. It outlives a restart, so that a loss that goes
/// on over one is told from a small one.
pub const MOST: &str = "polaris2istio.aeraki.net/most";
/// The ports that this program derived, in an output file: files have no field managers.
pub const DERIVED_PORTS: &str = "polaris2istio.aeraki.net/derived-ports";
/// The policy that an entry is of. Whoever takes it away takes the entry over.
pub const POLICY: &str = "polaris2istio.aeraki.net/policy";
/// Since when the service of a policy's entry is gone from the registry.
pub const GONE_SINCE: &str = "polaris2istio.aeraki.net/gone-since";
/// The release and namespaces of the leader, on the Lease.
pub const SERVES: &str = "polaris2istio.aeraki.net/serves";

/// kubectl's copy of all that was applied: it changes with whatever an apply changes, and says nothing of its own.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whom an annotation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The operator writes it for the conversion rules.
    Rules,
    /// The operator writes it for the host; no module converts by it.
    Host,
    /// The host writes it.
    Written,
}

/// Annotations of a ServiceEntry by whom they are for; those that an operator writes for the rules come first.
pub const ALL: [(&str, Audience); 19] = [
    (NAMESPACE, Audience::Rules),
    (SERVICE, Audience::Rules),
    (EXTERNAL, Audience::Rules),
    (PROTOCOL, Audience::Rules),
    (SERVICE_ACCOUNT, Audience::Rules),
    (NETWORK, Audience::Rules),
    (EMPTY_HOLD, Audience::Host),
    (REMOVAL_HOLD, Audience::Host),
    (MODULE_REMOVAL_LIMIT, Audience::Host),
    (PAUSED, Audience::Host),
    (MODULE, Audience::Host),
    (DNS, Audience::Host),
    (DNS_TARGET, Audience::Host),
    (REVISION, Audience::Written),
    (SOURCE, Audience::Written),
    (MOST, Audience::Written),
    (DERIVED_PORTS, Audience::Written),
    (POLICY, Audience::Written),
    (GONE_SINCE, Audience::Written),
];

/// Whether a module may convert by this annotation: all but those that are for the host alone, or written by it.
pub fn is_for_modules(key: &str) -> bool {
    let of_host = ALL.iter().any(|(known, audience)| *known == key && *audience != Audience::Rules);
    !of_host && !key.starts_with(MODULE_PREFIX) && key != LAST_APPLIED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_the_host_alone_is_not_for_modules() {
        for key in [EMPTY_HOLD, REMOVAL_HOLD, MODULE_REMOVAL_LIMIT, PAUSED, MODULE, DNS, DNS_TARGET, REVISION, SOURCE] {
            assert!(!is_for_modules(key), "{key}");
        }
        for key in [NAMESPACE, SERVICE, EXTERNAL, PROTOCOL, "example.com/team"] {
            assert!(is_for_modules(key), "{key}");
        }
        assert!(!is_for_modules(LAST_APPLIED) && !is_for_modules("polaris2istio.aeraki.net/note"));
    }

    #[test]
    fn each_key_stands_once() {
        let mut keys = ALL.map(|(key, _)| key).to_vec();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), ALL.len());
    }
}
