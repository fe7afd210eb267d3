//! Names in the cluster's own DNS, for clients whose sidecar does not resolve them: `--dns`.
//!
//! It needs nothing but the entries, and knows neither the registry nor the module. The names of an entry come from a pure
//! function ([`names`]). The [`DnsController`] compares them with the Services and EndpointSlices that carry our label,
//! whenever either changes, and writes the difference. `status.addresses` is istiod's; only [`lost_vip`] ever writes it.

mod client;
mod controller;
mod dns_entry;
mod host;
mod live;
pub mod lost_vip;
mod mode;
mod names_log;
mod objects;
mod plan;
mod records;
mod refusal;
#[cfg(test)]
mod tests;

pub use controller::{DnsController, MayWrite, Options};
pub use dns_entry::DnsEntry;
pub use mode::{Mode, UnknownMode};
pub use objects::LABEL;
pub use records::{Names, Record, Settings, names};
pub use refusal::{Refusal, Unfit};

use futures::StreamExt;
use kube::runtime::watcher::Event;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::entries::EntryEvents;
use crate::istio::ServiceEntry;

/// Events of entries, as far as names need them.
pub type DnsEntryEvents = UnboundedReceiver<Event<DnsEntry>>;

/// Lets a second reader see the events that the first one reads, so that entries are watched once.
pub fn tap(events: EntryEvents, api_version: String) -> (EntryEvents, DnsEntryEvents) {
    let (sender, receiver) = unbounded_channel();
    let tapped = events.inspect(move |event| {
        let slim = |entry: &ServiceEntry| DnsEntry::new(entry, &api_version);
        // The second reader may be gone, which does not concern the first one.
        let _ = sender.send(match event {
            Event::Init => Event::Init,
            Event::InitApply(entry) => Event::InitApply(slim(entry)),
            Event::InitDone => Event::InitDone,
            Event::Apply(entry) => Event::Apply(slim(entry)),
            Event::Delete(entry) => Event::Delete(slim(entry)),
        });
    });
    (tapped.boxed(), receiver)
}
