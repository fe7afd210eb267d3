//! Runs a candidate beside the active module over every entry, without anything of it being written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use polaris2istio_core::model::{Request, Service, Update};
use tokio::runtime::Handle;

use super::{Comparison, JudgedOutcome, Report};
use crate::converter::{Identity, LoadedModule};
use crate::istio::ServiceEntry;
use crate::plan::AddressRule;

/// The failures after which a candidate is not tried any further: each try of one that hangs takes its whole time-out.
const FAILURES: usize = 10;
/// The longest time of a comparison, whatever it has seen by then.
const LONGEST: Duration = Duration::from_secs(120);

/// The services that a change of modules needs of the engine.
pub trait Engine: Send + Sync {
    /// All entries as they are now.
    fn entry_snapshots(&self) -> EntrySnapshots;
    /// Reconciles all entries anew.
    fn requeue_all(&self);
    /// Notes that the operator has seen the changes of this module, and wants them.
    fn promoted(&self, module: &Identity);
    /// Lets writes go on, or stops them because the module that would give them is not approved.
    fn module_missing(&self, missing: bool);
}

#[derive(Clone, Default)]
pub struct EntrySnapshots {
    /// Entries whose service is known.
    pub known: Vec<EntrySnapshot>,
    /// The number of other entries, whose services may be known soon.
    pub unknown: usize,
    /// The addresses that endpoints may have.
    pub addresses: AddressRule,
}

/// An entry with the instances of its service.
#[derive(Clone)]
pub struct EntrySnapshot {
    /// The entry as it is.
    pub live: Arc<ServiceEntry>,
    /// The registry's last answer.
    pub service: Arc<Service>,
}

/// Compares a candidate with the active module or, if that is lost, with the content of the entries. It blocks. Each
/// comparison of an entry uses the place of the sandbox that is for that.
pub(super) fn shadow(
    runtime: &Handle,
    active: Option<&LoadedModule>,
    candidate: &LoadedModule,
    snapshots: &EntrySnapshots,
    stop: &AtomicBool,
) -> Report {
    let start = Instant::now();
    let mut report = Report { uncompared: snapshots.unknown, ..Report::default() };
    let mut times = (Duration::ZERO, Duration::ZERO);
    for (at, snapshot) in snapshots.known.iter().enumerate() {
        if report.failed >= FAILURES || start.elapsed() > LONGEST || stop.load(Ordering::Relaxed) {
            report.stopped += snapshots.known.len() - at;
            break;
        }
        let Ok(_place) = runtime.block_on(candidate.aside()) else { break };
        if let Some((comparison, endpoints)) = compare(active, candidate, snapshot, &snapshots.addresses, &mut times) {
            report.add(comparison, endpoints, &snapshot.service);
        }
    }
    let average = |time: Duration| (time.as_micros() / report.entries.max(1) as u128) as u64;
    (report.active_call_us, report.candidate_call_us) = (average(times.0), average(times.1));
    report
}

/// The comparison of one entry, with the number of endpoints that it has now; `None` for an entry for which no module is
/// ever asked.
fn compare(
    active: Option<&LoadedModule>,
    candidate: &LoadedModule,
    snapshot: &EntrySnapshot,
    addresses: &AddressRule,
    times: &mut (Duration, Duration),
) -> Option<(Comparison, usize)> {
    let live = &snapshot.live;
    let mut request = Request {
        service: (*snapshot.service).clone(),
        entry: live.view().ok()?,
        parameters: Vec::new(),
        published: None,
    };
    let mut timed = |module: &LoadedModule, time: &mut Duration| {
        request.parameters = module.identity().parameters();
        let begun = Instant::now();
        let answer = module.ask(&request);
        *time += begun.elapsed();
        answer
    };
    let before = active.map(|active| JudgedOutcome::judged(timed(active, &mut times.0)));
    let answer = timed(candidate, &mut times.1);
    let after = JudgedOutcome::checked(candidate, &request, answer, live, addresses);
    let before = before.unwrap_or_else(|| held(live, &after));
    let endpoints = if let JudgedOutcome::Update(update) = &before { update.endpoints.len() } else { 0 };
    Some((Comparison::of(live.title(), before, after), endpoints))
}

/// The content of an entry, as far as it can be told without the module that gave it: its endpoints.
fn held(live: &ServiceEntry, after: &JudgedOutcome) -> JudgedOutcome {
    let endpoints = live.spec.endpoints.iter().map(|endpoint| endpoint.clone().into()).collect();
    match after {
        JudgedOutcome::Update(update) => JudgedOutcome::Update(Update { endpoints, ..update.clone() }),
        JudgedOutcome::Rejected(_) | JudgedOutcome::Failed(_) => JudgedOutcome::Update(Update {
            resolution: None,
            location: None,
            ports: Vec::new(),
            endpoints,
            annotations: Vec::new(),
            content_revision: None,
        }),
    }
}
