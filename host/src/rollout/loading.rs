//! Which modules are being loaded, noted where it outlives the process: if it ends meanwhile, the module may be why, and a process
//! that begins again and again must not die of it each time.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Giver, ModuleState};
use crate::converter::Identity;

/// Notes that are kept: of each replica one or two, and of those that are gone.
const NOTES: usize = 20;
/// After this time a note of elsewhere says nothing any more, unless it is a leader's.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24);
/// Processes that may end while they load the module in use: one may have been ended by something else.
pub(super) const TRIES: u32 = 2;

/// A module that a process is loading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Loading {
    #[serde(flatten)]
    pub identity: Identity,
    #[serde(flatten)]
    pub by: Process,
    pub since: Timestamp,
    /// Whether it is a candidate: those only the leader loads, so that another leader knows that the one before is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub candidate: bool,
    /// The processes before this one that ended there while they loaded it.
    #[serde(default)]
    pub ended: u32,
}

/// A process, as others can tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// A number of its own.
    pub by: u64,
    /// The pod or machine that it runs on: a container that is started again has the same.
    pub host: String,
    /// Its number there.
    pub pid: u32,
}

impl Process {
    /// This process, by the name that its pod has in the election.
    pub fn here(elected: Option<&str>) -> Self {
        let pod = elected.map(|identity| identity.rsplit_once('_').map_or(identity, |(pod, _)| pod).to_owned());
        Self { by: rand::random(), host: pod.unwrap_or_else(Giver::host), pid: std::process::id() }
    }

    /// Whether another process ran here, and does no more.
    fn outlived(&self, other: &Self) -> bool {
        let ended = other.pid == self.pid || !Path::new("/proc").join(other.pid.to_string()).exists();
        other.by != self.by && other.host == self.host && ended
    }
}

impl ModuleState {
    /// How many processes ended here while they loaded a module. Where it was refused for that, it is more than may.
    pub(super) fn ended_by(&self, module: &Identity, here: &Process) -> u32 {
        if self.refusal(module).is_some_and(|refused| refused.deadly) {
            return u32::MAX;
        }
        let notes = self.loading.iter().filter(|note| note.identity == *module && here.outlived(&note.by));
        notes.map(|note| note.ended.saturating_add(1)).max().unwrap_or(0)
    }

    /// Whether a leader ended while it loaded this candidate, or a process here.
    pub(super) fn is_deadly(&self, module: &Identity, here: &Process) -> bool {
        let by_a_leader = |note: &Loading| note.candidate && note.by.by != here.by && note.identity == *module;
        self.ended_by(module, here) > 0 || self.loading.iter().any(by_a_leader)
    }

    /// Notes that a process begins to load a module.
    pub(super) fn begin_loading(&mut self, module: &Identity, by: &Process, candidate: bool, since: Timestamp) {
        let ended = self.ended_by(module, by);
        self.loading.retain(|note| {
            let again = note.identity == *module && (note.by.by == by.by || by.outlived(&note.by));
            let forgotten = !note.candidate && note.by.host != by.host && since.duration_since(note.since) > FORGOTTEN;
            !again && !forgotten
        });
        self.loading.truncate(NOTES - 1);
        let (identity, by) = (module.clone(), by.clone());
        self.loading.insert(0, Loading { identity, by, since, candidate, ended });
    }

    /// Notes that a process has survived this module.
    pub(super) fn end_loading(&mut self, module: &Identity, by: &Process) {
        self.loading.retain(|note| note.identity != *module || note.by.by != by.by);
    }

    /// Notes that a process loads nothing any more, or ends for another reason.
    pub fn end_all_loading(&mut self, by: &Process) {
        self.loading.retain(|note| note.by.by != by.by);
    }

    /// Forgets who ended while loading a module: a person wants it all the same, or it is refused.
    pub(super) fn forget_loading(&mut self, module: &Identity) {
        self.loading.retain(|note| note.identity != *module);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn process(by: u64, host: &str, pid: u32) -> Process {
        Process { by, host: host.into(), pid }
    }

    /// A number that no process has.
    const GONE: u32 = u32::MAX;

    #[test]
    fn ends_count_where_they_happened() {
        let (now, here) = (Timestamp::UNIX_EPOCH, std::process::id());
        let module = Identity::new(Digest::of(b"one"), &[]);
        let (first, second, third) = (process(1, "a", here), process(2, "a", here), process(3, "a", here));
        let (beside, elsewhere) = (process(4, "a", GONE), process(5, "b", here));
        let mut state = ModuleState::default();
        state.begin_loading(&module, &first, false, now);
        assert_eq!(state.ended_by(&module, &first), 0, "it is under way");
        assert_eq!(state.ended_by(&module, &second), 1);
        assert_eq!(state.ended_by(&module, &elsewhere), 0, "that one may be loading it still");
        assert!(!state.is_deadly(&module, &elsewhere));
        assert_eq!(state.ended_by(&module, &beside), 0, "a process of that number still runs on this machine");
        state.begin_loading(&module, &second, false, now);
        assert_eq!((state.loading.len(), state.ended_by(&module, &third)), (1, 2));
        state.begin_loading(&module, &elsewhere, true, now);
        assert!(state.is_deadly(&module, &process(6, "c", here)), "a leader was loading it");
        state.end_loading(&module, &elsewhere);
        state.end_all_loading(&second);
        assert_eq!(state.loading, []);
    }

    #[test]
    fn notes_are_bounded_and_forgotten() {
        let mut state = ModuleState::default();
        let now = Timestamp::UNIX_EPOCH;
        let module = Identity::new(Digest::of(b"one"), &[]);
        for by in 0..100 {
            state.begin_loading(&module, &process(by, &by.to_string(), GONE), false, now);
        }
        assert_eq!(state.loading.len(), NOTES);
        let later = now + SignedDuration::from_hours(25);
        state.begin_loading(&module, &process(99, "99", GONE), false, later);
        assert_eq!(state.loading.len(), 1);
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let mut state = ModuleState::default();
        let module = Identity::new(Digest::of(b"one"), &[("label".into(), "blue".into())]);
        state.begin_loading(&module, &process(u64::MAX, "a", 7), true, Timestamp::UNIX_EPOCH);
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<ModuleState>(&text).unwrap(), state, "{text}");
    }
}
