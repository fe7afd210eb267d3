//! Routes a command to the process that carries it out: this one, or through the shared state the leader.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use super::Command;
use crate::guard::Holds;
use crate::observe::{LiveExplanation, Status, View};
use crate::rollout::{self, CommandRequest, CommandResponse, Forwarded, Paused, Question, Reply, SharedState};
use crate::state::Keeper;

/// The longest wait for the leader: a comparison of ten thousand entries is done in it.
const LEADER_WITHIN: Duration = Duration::from_secs(60);

/// The longest answer that goes to another replica, as text.
const FORWARDED_LIMIT: usize = 256 << 10;

pub struct Router {
    keeper: Arc<Keeper<SharedState>>,
    leads: watch::Receiver<bool>,
    modules: mpsc::Sender<rollout::Request>,
    holds: Arc<Holds>,
    view: View,
}

impl Router {
    /// The router of one process.
    pub fn new(
        keeper: Arc<Keeper<SharedState>>,
        leads: watch::Receiver<bool>,
        modules: mpsc::Sender<rollout::Request>,
        holds: Arc<Holds>,
        view: View,
    ) -> Self {
        Self { keeper, leads, modules, holds, view }
    }

    /// Answers a command that the operator gave to this process.
    pub async fn answer(&self, command: Command) -> Reply {
        let state = self.keeper.document().borrow().clone();
        let result = match command {
            Command::Status => Ok(json!(Status::of(&self.view))),
            Command::ModuleStatus => {
                Ok(json!(rollout::ModuleState { history: Default::default(), ..state.module.clone() }))
            }
            Command::ModuleHistory => Ok(json!(state.module.history)),
            Command::Answer(service) => self.view.answer(&service),
            Command::Pause(reason) => self.pause(Some(reason)).await,
            Command::Resume => self.pause(None).await,
            Command::Forwarded(command) if *self.leads.borrow() => self.carry_out(command).await,
            Command::Forwarded(command) => return self.forward(command).await,
        };
        result.into()
    }

    /// Pauses or resumes all writes. Any replica may do that: there may be no leader to ask.
    async fn pause(&self, reason: Option<String>) -> Result<Value, String> {
        let now = Timestamp::now();
        let paused = reason.map(|reason| Paused { since: now, reason });
        let update = self.keeper.update(|state, _| {
            // The first pause counts.
            let paused = paused.clone().map(|new| state.paused.clone().unwrap_or(new));
            state.paused = paused.clone();
            paused
        });
        update.await.map(|paused| json!({ "paused": paused })).map_err(|error| error.to_string())
    }

    /// Releases holds. They are the leader's: those of another replica would end with its next answers.
    fn release(&self, entry: Option<String>) -> Result<Value, String> {
        let released = match entry {
            None => self.holds.release_all(),
            Some(entry) if self.holds.release(&entry) => 1,
            Some(entry) => return Err(format!("{entry} holds nothing; `status` shows what is held")),
        };
        Ok(json!({ "released": released }))
    }

    /// Carries out a command for the leader alone.
    async fn carry_out(&self, command: Forwarded) -> Result<Value, String> {
        match command {
            Forwarded::Module(command) => self.change(command).await,
            Forwarded::Release(entry) => self.release(entry),
            Forwarded::Ask(question) => self.explain(question).await,
        }
    }

    async fn explain(&self, question: Question) -> Result<Value, String> {
        match question {
            Question::Explain(entry) => {
                LiveExplanation::of(&self.view, &entry).await.map(|explanation| json!(explanation))
            }
            Question::History(None) => Ok(json!(self.view.history.recent())),
            Question::History(Some(entry)) => self.view.history_of(&entry).map(|history| json!(history)),
        }
    }

    async fn change(&self, command: rollout::Command) -> Result<Value, String> {
        let (reply, answer) = oneshot::channel();
        let stopping = |_| "the controller is stopping".to_owned();
        self.modules.send((command, reply)).await.map_err(|_| stopping(()))?;
        answer.await.map_err(|_| stopping(())).and_then(|result| result)
    }

    async fn forward(&self, command: Forwarded) -> Reply {
        let id: u64 = rand::random();
        let mut state = self.keeper.document();
        let sent = CommandRequest { id, command };
        if let Err(error) = self.keeper.update(|state, _| state.request = Some(sent.clone())).await {
            return Reply::Refused(error.to_string());
        }
        let answered = state.wait_for(|state| state.answer.as_ref().is_some_and(|answer| answer.id == id));
        match tokio::time::timeout(LEADER_WITHIN, answered).await {
            Ok(Ok(state)) => match &state.answer {
                Some(answer) => answer.reply.clone(),
                None => Reply::Refused("the answer was lost; see `module status`".into()),
            },
            Ok(Err(_)) => Reply::Refused("the controller is stopping".into()),
            Err(_) => Reply::Refused(format!("no leader answered within {LEADER_WITHIN:?}; see `module status`")),
        }
    }

    /// Carries out the commands of other replicas while this one leads, until the future is dropped.
    pub async fn serve_others(&self) {
        let mut state = self.keeper.document();
        let mut leads = self.leads.clone();
        loop {
            let known = state.borrow_and_update().clone();
            if *leads.borrow_and_update()
                && let Some(CommandRequest { id, command }) = known.request.clone()
            {
                let reply = bounded(self.carry_out(command).await.into(), &self.view);
                let answer = CommandResponse { id, reply };
                let noted = self.keeper.update(|state, _| {
                    state.answer = Some(answer.clone());
                    if state.request.as_ref().is_some_and(|request| request.id == id) {
                        state.request = None;
                    }
                });
                if let Err(error) = noted.await {
                    tracing::warn!("the answer to a command of another replica could not be given: {error}");
                }
                continue;
            }
            tokio::select! {
                Ok(()) = state.changed() => {}
                Ok(()) = leads.changed() => {}
                else => return,
            }
        }
    }
}

/// A reply as it may go by the shared state, which others read as well and which holds a megabyte.
fn bounded(reply: Reply, view: &View) -> Reply {
    let length = serde_json::to_vec(&reply).map_or(usize::MAX, |text| text.len());
    if length <= FORWARDED_LIMIT {
        return reply;
    }
    let identity = view.election.as_ref().map(|(_, identity)| identity.as_str()).unwrap_or_default();
    let pod = identity.rsplit_once('_').map_or(identity, |(pod, _)| pod);
    Reply::Refused(format!(
        "the answer has {} KiB, too many to go by another replica; ask the leader itself: kubectl exec {pod} -- polaris2istio ...",
        length >> 10
    ))
}
