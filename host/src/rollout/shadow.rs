//! Runs a candidate beside the active module over every entry, without anything of it being written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use polaris2istio_core::model::{Request, Service, Update};
use tokio::runtime::Handle;

use super::{Comparison, JudgedOutcome, Report};
use crate::converter::LoadedModule;
use crate::istio::ServiceEntry;
use crate::plan::AddressRule;

/// A candidate that fails this often is not tried any further: each try of one that hangs takes its whole time-out.
const FAILURES: usize = 10;
/// A comparison ends in this time, whatever it has seen by then.
const LONGEST: Duration = Duration::from_secs(120);

/// What a change of modules needs of the engine.
pub trait Engine: Send + Sync {
    /// All entries as they are now.
    fn subjects(&self) -> EntrySnapshots;
    /// Looks at all entries anew.
    fn requeue_all(&self);
    /// A person has looked at what the next module does, and wants it so.
    fn promoted(&self);
    /// Lets writes go, or stops them: the module that would give them is not approved.
    fn module_missing(&self, missing: bool);
}

/// All entries.
#[derive(Clone, Default)]
pub struct EntrySnapshots {
    /// Those whose service is known.
    pub known: Vec<EntrySnapshot>,
    /// Others, of which more will be known soon.
    pub unknown: usize,
    /// The addresses that endpoints may have.
    pub addresses: AddressRule,
}

/// An entry and what its service lists.
#[derive(Clone)]
pub struct EntrySnapshot {
    /// The entry as it is.
    pub live: Arc<ServiceEntry>,
    /// What the registry listed last.
    pub service: Arc<Service>,
}

/// Compares a candidate with the active module or, where that is lost, with what the entries hold. It blocks; each
/// comparison of an entry takes one slot of the sandbox.
pub(super) fn shadow(
    runtime: &Handle,
    active: Option<&LoadedModule>,
    candidate: &LoadedModule,
    subjects: &EntrySnapshots,
) -> Report {
    let start = Instant::now();
    let mut report = Report { uncompared: subjects.unknown, ..Report::default() };
    let mut times = (Duration::ZERO, Duration::ZERO);
    for (at, subject) in subjects.known.iter().enumerate() {
        if report.failed >= FAILURES || start.elapsed() > LONGEST {
            report.uncompared += subjects.known.len() - at;
            break;
        }
        let Ok(_slot) = runtime.block_on(candidate.slot()) else { break };
        if let Some((comparison, endpoints)) = compare(active, candidate, subject, &subjects.addresses, &mut times) {
            report.add(comparison, endpoints);
        }
    }
    let average = |time: Duration| (time.as_micros() / report.entries.max(1) as u128) as u64;
    (report.active_call_us, report.candidate_call_us) = (average(times.0), average(times.1));
    report
}

/// One entry, with the number of endpoints that it has now; nothing for one that no module is ever asked for.
fn compare(
    active: Option<&LoadedModule>,
    candidate: &LoadedModule,
    subject: &EntrySnapshot,
    addresses: &AddressRule,
    times: &mut (Duration, Duration),
) -> Option<(Comparison, usize)> {
    let live = &subject.live;
    let mut request = Request {
        service: (*subject.service).clone(),
        entry: live.view().ok()?,
        parameters: Vec::new(),
        published: None,
    };
    let mut timed = |rules: &LoadedModule, time: &mut Duration| {
        request.parameters = rules.identity().parameters();
        let begun = Instant::now();
        let answer = rules.ask(&request);
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

/// What an entry holds, as far as that can be told without the module that gave it: its endpoints.
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
