//! Notes among the last changes what is of no single entry: who leads, a pause, and what becomes of modules.

use crate::observe::View;
use crate::rollout::{ModuleEvent, ModuleEventKind, SharedState};
use crate::telemetry::{History, HistoryKind};

/// Notes it until the future is dropped.
pub(super) async fn chronicle(view: View) {
    let (mut state, mut leads) = (view.state.clone(), view.leads.clone());
    let mut holder = view.election.as_ref().map(|(holder, _)| holder.clone());
    let mut known = Known { modules: Some(state.borrow().module.history.len()), ..Known::default() };
    loop {
        let now = Known {
            leader: leader(
                *leads.borrow_and_update(),
                holder.as_mut().map(|holder| holder.borrow_and_update().clone()),
            ),
            paused: state.borrow_and_update().paused.as_ref().map(ToString::to_string),
            modules: None,
        };
        known.compare(&now, &state.borrow().clone(), &view.history);
        let next_holder = async {
            match &mut holder {
                Some(holder) => holder.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Ok(()) = state.changed() => {}
            Ok(()) = leads.changed() => {}
            Ok(()) = next_holder => {}
            else => return,
        }
    }
}

/// The last note.
#[derive(Default)]
struct Known {
    leader: String,
    paused: Option<String>,
    /// Events of modules that were seen.
    modules: Option<usize>,
}

impl Known {
    fn compare(&mut self, now: &Self, state: &SharedState, history: &History) {
        if self.leader != now.leader {
            self.leader.clone_from(&now.leader);
            history.note(HistoryKind::Leader, "", &now.leader, "");
        }
        if self.paused != now.paused {
            self.paused.clone_from(&now.paused);
            history.note(HistoryKind::Pause, "", now.paused.as_deref().unwrap_or("writes go on"), "");
        }
        let seen = self.modules.unwrap_or_default().min(state.module.history.len());
        for event in state.module.history.iter().skip(seen) {
            note_module(event, history);
        }
        self.modules = Some(state.module.history.len());
    }
}

fn leader(leads: bool, holder: Option<String>) -> String {
    match (leads, holder) {
        (true, _) => "this process writes".into(),
        (false, Some(holder)) if !holder.is_empty() => format!("{holder} leads, this process stands by"),
        (false, _) => "nobody is known to lead, this process stands by".into(),
    }
}

fn note_module(event: &ModuleEvent, history: &History) {
    let what = match event.what {
        ModuleEventKind::Installed => "is the first",
        ModuleEventKind::Waits => "waits for the operator",
        ModuleEventKind::Canary => "is tried on a share of the entries",
        ModuleEventKind::Switched => "became the active one",
        ModuleEventKind::RolledBack => "was rolled back",
        ModuleEventKind::Rejected => "was rejected",
        ModuleEventKind::Unfit => "cannot be loaded",
        ModuleEventKind::Withdrawn => "was withdrawn by its source",
    };
    history.note(HistoryKind::Module, "", &format!("module {} {what}", event.identity), &event.detail);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_noted_once() {
        let (history, mut known, state) = (History::default(), Known::default(), SharedState::default());
        let now =
            |leader: String, paused: Option<&str>| Known { leader, paused: paused.map(Into::into), modules: None };
        known.compare(&now(leader(false, Some("b_2".into())), None), &state, &history);
        known.compare(&now(leader(true, Some("a_1".into())), Some("paused")), &state, &history);
        known.compare(&now(leader(true, None), Some("paused")), &state, &history);
        known.compare(&now(leader(true, None), None), &state, &history);
        let texts: Vec<_> = history.recent().iter().rev().map(|event| event.text.clone()).collect();
        assert_eq!(texts, ["b_2 leads, this process stands by", "this process writes", "paused", "writes go on"]);
    }
}
