//! Warns of virtual IPs that were lost for good, and repairs them.
//!
//! When an entry with a virtual IP of istiod's gets a form that has none, be it for a moment, istiod takes the address
//! away, leaves `status.addresses: []`, and never allocates again, whatever form the entry has then. (An entry that had such
//! a form from the start gets an address as soon as it may have one.) The log warns of such an entry. With `--repair-vip`
//! the field is set to null, upon which istiod allocates anew.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::client::Cluster;
use super::dns_entry::DnsEntry;

/// The time between two repairs of one entry: if the first did not help, the next hardly will.
const PAUSE: Duration = Duration::from_secs(60);

/// The cause of the loss, in words.
pub const WORDS: &str = "istiod took the entry's virtual IP away (status.addresses is empty) when its resolution was NONE, or it had spec.addresses or the opt-out label, be it for a moment; it does not allocate again by itself";

/// The entries that were warned of, by uid, and the time of each one's last repair.
#[derive(Default)]
pub(super) struct LostVips {
    told: BTreeMap<String, Option<Instant>>,
}

impl LostVips {
    /// Checks an entry, and warns once if its virtual IP is lost.
    pub(super) fn check(&mut self, entry: &DnsEntry, repair: bool) {
        let allocated = entry.allocated.as_ref().is_some_and(|all| !all.is_empty());
        if entry.has_lost_vip() && !self.told.contains_key(&entry.uid) {
            warn_lost(entry, repair);
            self.told.insert(entry.uid.clone(), None);
        } else if allocated && self.told.remove(&entry.uid).is_some() {
            info!(entry = entry.title(), "istiod gave the entry a virtual IP again");
        }
    }

    pub(super) fn forget(&mut self, entry: &DnsEntry) {
        self.told.remove(&entry.uid);
    }

    /// Whether an entry is to be repaired now.
    pub(super) fn due(&self, entry: &DnsEntry, now: Instant) -> bool {
        let pause = |last: &Option<Instant>| last.is_none_or(|last| now.duration_since(last) >= PAUSE);
        entry.has_lost_vip() && self.told.get(&entry.uid).is_some_and(pause)
    }

    pub(super) async fn repair(&mut self, cluster: &Cluster, entry: &DnsEntry, now: Instant) {
        self.told.insert(entry.uid.clone(), Some(now));
        match cluster.reset_addresses(&entry.name, &entry.resource_version).await {
            Ok(()) => info!(entry = entry.title(), "status.addresses was set to null, so that istiod allocates anew"),
            // Another writer changed it meanwhile; its new state is checked anew.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                self.told.insert(entry.uid.clone(), None);
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => warn!(
                entry = entry.title(),
                "virtual IP not repaired: {}; grant this identity the verb patch on serviceentries/status.networking.istio.io",
                status.message
            ),
            Err(error) => warn!(entry = entry.title(), "virtual IP not repaired: {error}; it is tried again"),
        }
    }
}

/// Warns of an entry whose virtual IP is lost.
fn warn_lost(entry: &DnsEntry, repair: bool) {
    let remedy = if repair {
        "it is repaired"
    } else {
        "run with --repair-vip, or set status.addresses to null by hand, or delete and create the entry"
    };
    warn!(entry = entry.title(), code = "vip-trap", "{WORDS}: {remedy}");
}
