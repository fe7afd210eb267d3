//! The status of one process as data: what `/status` and `polaris2istio status` show.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::module_notices::module_notices;
use super::view::{Reported, View};
use super::words::{block_reason, moment, state};
use crate::guard::Hold;
use crate::policy::{PolicyReports, Report};
use crate::registry::PollFigures;
use crate::rollout::Paused;
use crate::telemetry::Condition;

/// The status of one process. Times are of its own clock; nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The release.
    pub version: String,
    /// This process's name among the replicas; empty without an election.
    pub identity: String,
    /// Whether this process writes.
    pub leads: bool,
    /// Which one does; empty if that is not known.
    pub leader: String,
    /// Why this process is not ready; empty if it is.
    pub unready: Vec<String>,
    /// Why nothing is written; empty if writes go on.
    pub writes_blocked: Vec<String>,
    /// The pause, if there is one.
    pub paused: Option<Paused>,
    /// Entries that keep endpoints because too many services lost theirs at once; 0 without that alarm.
    pub fleet_holds: usize,
    /// What is told of all services together, though nothing more is held for it.
    #[serde(default)]
    pub fleet_notices: Vec<String>,
    /// Where answers come from.
    pub registry: Vec<Server>,
    /// Questions to the registry by what came of them.
    pub polls: BTreeMap<String, u64>,
    /// The active module: name, version and digest.
    pub module: String,
    /// Every policy, by name.
    #[serde(default)]
    pub policies: Vec<PolicyStatus>,
    /// Notices of other modules: trouble of the source, one that waits, one that was taken back.
    #[serde(default)]
    pub module_notices: Vec<String>,
    /// How many entries there are, by their state.
    pub entries_by_state: BTreeMap<String, usize>,
    /// Every entry, by name.
    pub entries: Vec<EntryStatus>,
}

/// A source of answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// A server's address, or a directory.
    pub address: String,
    /// When it last answered.
    pub last_answer: Timestamp,
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Its name.
    pub policy: String,
    /// Services that it selects.
    pub services: usize,
    /// Entries that are its own.
    pub entries: usize,
    /// Services without an entry.
    pub refused: usize,
    /// Entries whose service is gone.
    pub gone: usize,
    /// Whether it is carried out wholly.
    pub ready: bool,
    /// One word on that.
    pub reason: String,
    /// A sentence, with what to do.
    pub message: String,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryStatus {
    /// `namespace/name`.
    pub entry: String,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `namespace/name` in the registry; empty if the entry names none.
    pub service: String,
    /// `synced`, `paused` if a write waits for the operator, `held`, `failed`, or `pending` until there is a first answer of the
    /// registry or the entry's turn has come; `standby` if another process writes, and knows whether it is synced or held.
    pub state: String,
    /// Endpoints that it has.
    pub endpoints: usize,
    /// The fate of the instances.
    pub instances: Instances,
    /// The registry's revision of the last answer; empty if there is none.
    pub revision: String,
    /// The module that gave the last outcome.
    pub module: String,
    /// When the registry's last news of the service came. An answer that says nothing new is none.
    pub last_answer: Option<Timestamp>,
    /// The last write of this process.
    pub last_write: Option<LastWrite>,
    /// Endpoints that are kept.
    pub holds: Vec<Held>,
    /// All that is wrong.
    pub problems: Vec<Problem>,
}

/// The fate of a service's instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instances {
    /// Instances that the registry lists; `None` if it knows no such service.
    pub listed: Option<usize>,
    /// Instances that became no endpoint, by the code of the reason. `explain` names them.
    pub left_out: BTreeMap<String, usize>,
}

/// A write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastWrite {
    /// When it was acknowledged.
    pub at: Timestamp,
    /// Endpoints that came.
    pub added: usize,
    /// Endpoints that went.
    pub removed: usize,
    /// Endpoints that changed.
    pub changed: usize,
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// One word.
    pub kind: String,
    /// A sentence.
    pub reason: String,
    /// How many endpoints are kept.
    pub endpoints: usize,
    /// When it began.
    pub since: Timestamp,
    /// When it ends; `None` if not by time.
    pub until: Option<Timestamp>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// One word.
    pub condition: String,
    /// A sentence, with what to do.
    pub text: String,
}

impl Status {
    /// The status that a view shows now.
    pub fn of(view: &View) -> Self {
        let counts = view.stats.figures();
        let entries: Vec<_> = view.entries().iter().map(|reported| EntryStatus::of(view, reported)).collect();
        let mut by_state = BTreeMap::new();
        for entry in &entries {
            *by_state.entry(entry.state.clone()).or_default() += 1;
        }
        let (leader, identity) = match &view.election {
            Some((holder, identity)) => (holder.borrow().clone(), identity.clone()),
            None => Default::default(),
        };
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            identity,
            leads: *view.leads.borrow(),
            leader,
            unready: view.unready(),
            writes_blocked: view.blocked().into_iter().map(|reason| block_reason(reason).into()).collect(),
            paused: view.state.borrow().paused.clone(),
            fleet_holds: view.holds.alarm().map_or(0, |alarm| alarm.holding),
            fleet_notices: view.holds.notices().iter().map(ToString::to_string).collect(),
            registry: Server::of(&counts),
            polls: counts.results.iter().map(|(result, count)| ((*result).into(), *count)).collect(),
            policies: view.policies.as_deref().map(policies).unwrap_or_default(),
            module: view.module(),
            module_notices: module_notices(&view.state.borrow().module, view.modules.stats().source_trouble().as_ref()),
            entries_by_state: by_state,
            entries,
        }
    }
}

fn policies(reports: &PolicyReports) -> Vec<PolicyStatus> {
    let status = |(policy, report): (String, Report)| {
        let (ready, reason, message) = report.words();
        let Report { services, entries, gone, refused, .. } = report;
        PolicyStatus { policy, services, entries, refused: refused.len(), gone, ready, reason: reason.into(), message }
    };
    reports.all().into_iter().map(status).collect()
}

impl Server {
    /// All sources that answered, now.
    pub(super) fn all(view: &View) -> Vec<Self> {
        Self::of(&view.stats.figures())
    }

    fn of(counts: &PollFigures) -> Vec<Self> {
        let server = |(address, at): (&String, &Instant)| Self { address: address.clone(), last_answer: moment(*at) };
        counts.answered.iter().map(server).collect()
    }
}

impl EntryStatus {
    pub(super) fn of(view: &View, (entry, service, report): &Reported) -> Self {
        let hold = |hold: &Hold| Held {
            kind: hold.kind.as_str().into(),
            reason: hold.reason.to_string(),
            endpoints: hold.endpoints,
            since: moment(hold.since),
            until: hold.until.map(moment),
        };
        let written = report.written.as_ref().map(|written| LastWrite {
            at: moment(written.at),
            added: written.change.added,
            removed: written.change.removed,
            changed: written.change.changed,
        });
        let problem = |(condition, text): (&Condition, &String)| Problem {
            condition: condition.word().into(),
            text: text.clone(),
        };
        Self {
            entry: entry.title(),
            labels: entry.metadata.labels.clone().unwrap_or_default(),
            service: service.as_ref().map(ToString::to_string).unwrap_or_default(),
            state: state(report.status, *view.leads.borrow()).into(),
            endpoints: entry.spec.endpoints.len(),
            instances: Instances { listed: report.listed, left_out: report.left_out.clone() },
            revision: service.as_ref().and_then(|service| view.controller.revision(service)).unwrap_or_default(),
            module: report.by.as_ref().map(|by| by.module.to_string()).unwrap_or_default(),
            last_answer: report.answered.map(|at| moment(at.into_std())),
            last_write: written,
            holds: report.holds.iter().map(hold).collect(),
            problems: report.problems.iter().map(problem).collect(),
        }
    }
}
