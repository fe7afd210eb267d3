//! When an entry with a virtual IP of istiod's takes a form that has none, be it for a moment, istiod takes the address
//! away, leaves `status.addresses: []`, and never allocates again, whatever form the entry takes. (One that had such a form
//! from the start is given an address as soon as it may have one.) Such an entry is told of, and with `--repair-vip` the field is set to null, upon which istiod allocates anew.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::client::Cluster;
use super::dns_entry::DnsEntry;

/// Between two repairs of one entry: if the first did not help, the next hardly will.
const PAUSE: Duration = Duration::from_secs(60);

/// What happened to such an entry.
pub const WORDS: &str = "istiod took the entry's virtual IP away (status.addresses is empty) when its resolution was NONE, or it had spec.addresses or the opt-out label, be it for a moment; it does not allocate again by itself";

/// The trapped entries that were told of, by uid, and when each was last repaired.
#[derive(Default)]
pub(super) struct LostVips {
    told: BTreeMap<String, Option<Instant>>,
}

impl LostVips {
    /// Looks at an entry, and says once that it is trapped.
    pub(super) fn look(&mut self, bearer: &DnsEntry, repair: bool) {
        let allocated = bearer.allocated.as_ref().is_some_and(|all| !all.is_empty());
        if bearer.trapped() && !self.told.contains_key(&bearer.uid) {
            tell(bearer, repair);
            self.told.insert(bearer.uid.clone(), None);
        } else if allocated && self.told.remove(&bearer.uid).is_some() {
            info!(entry = bearer.title(), "istiod gave the entry a virtual IP again");
        }
    }

    /// Forgets an entry.
    pub(super) fn forget(&mut self, bearer: &DnsEntry) {
        self.told.remove(&bearer.uid);
    }

    /// Whether an entry is to be repaired now.
    pub(super) fn due(&self, bearer: &DnsEntry, now: Instant) -> bool {
        let pause = |last: &Option<Instant>| last.is_none_or(|last| now.duration_since(last) >= PAUSE);
        bearer.trapped() && self.told.get(&bearer.uid).is_some_and(pause)
    }

    /// Repairs it.
    pub(super) async fn repair(&mut self, cluster: &Cluster, bearer: &DnsEntry, now: Instant) {
        self.told.insert(bearer.uid.clone(), Some(now));
        match cluster.reset_addresses(&bearer.name, &bearer.resource_version).await {
            Ok(()) => info!(entry = bearer.title(), "status.addresses was set to null, so that istiod allocates anew"),
            // Someone wrote to it meanwhile; its new state is looked at anew.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                self.told.insert(bearer.uid.clone(), None);
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => warn!(
                entry = bearer.title(),
                "virtual IP not repaired: {}; grant this identity the verb patch on serviceentries/status.networking.istio.io",
                status.message
            ),
            Err(error) => warn!(entry = bearer.title(), "virtual IP not repaired: {error}; it is tried again"),
        }
    }
}

/// The one place that says it.
fn tell(bearer: &DnsEntry, repair: bool) {
    let remedy = if repair {
        "it is repaired"
    } else {
        "run with --repair-vip, or set status.addresses to null by hand, or delete and create the entry"
    };
    warn!(entry = bearer.title(), code = "vip-trap", "{WORDS}: {remedy}");
}
