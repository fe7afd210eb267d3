//! Routes a command to the process that carries it out: this one, or through the shared state the leader.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Announcer, Command};
use crate::guard::Holds;
use crate::observe::{Capture, LiveExplanation, Status, View};
use crate::rollout::{
    self, CommandRequest, CommandResponse, Forwarded, Giver, ModuleStatus, Paused, Question, Reply, SharedState,
};
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
    announcer: Announcer,
}

impl Router {
    /// The router of one process.
    pub fn new(
        keeper: Arc<Keeper<SharedState>>,
        leads: watch::Receiver<bool>,
        modules: mpsc::Sender<rollout::Request>,
        holds: Arc<Holds>,
        view: View,
        announcer: Announcer,
    ) -> Self {
        Self { keeper, leads, modules, holds, view, announcer }
    }

    /// Answers a command that the operator gave to this process.
    pub async fn answer(&self, command: Command, by: Giver) -> Reply {
        let state = self.keeper.document().borrow().clone();
        let result = match command {
            Command::Status => Ok(json!(Status::of(&self.view))),
            Command::ModuleStatus => {
                let state = rollout::ModuleState { history: Default::default(), ..state.module.clone() };
                Ok(json!(ModuleStatus { state, source_trouble: self.view.modules.stats().source_trouble() }))
            }
            Command::ModuleHistory => Ok(json!(state.module.history)),
            Command::Answer(service) => self.view.answer(&service),
            Command::Capture(entry) => Capture::of(&self.view, &entry).await.map(|capture| json!(capture)),
            Command::Pause(ref reason) => {
                let paused = self.pause(Some(reason.clone())).await;
                self.announcer.tell(&command, &by, &paused).await;
                paused
            }
            Command::Resume => {
                let resumed = self.pause(None).await;
                self.announcer.tell(&command, &by, &resumed).await;
                resumed
            }
            Command::Forwarded(command) if *self.leads.borrow() => self.carry_out(command, by, LEADER_WITHIN).await,
            Command::Forwarded(command) => return self.forward(command, by).await,
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

    /// Carries out a command for the leader alone, for one who waits so long.
    async fn carry_out(&self, command: Forwarded, by: Giver, within: Duration) -> Result<Value, String> {
        let given = (Command::Forwarded(command.clone()), by.clone());
        let result = match command {
            Forwarded::Module(command) => self.change(command, by, within).await,
            Forwarded::Release(entry) => self.release(entry),
            Forwarded::Ask(question) => self.explain(question).await,
        };
        let (command, by) = given;
        self.announcer.tell(&command, &by, &result).await;
        result
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

    /// When the time is up, the answer is dropped, and the rollout does not begin what nobody waits for.
    async fn change(&self, command: rollout::Command, by: Giver, within: Duration) -> Result<Value, String> {
        let (reply, answer) = oneshot::channel();
        let stopping = |_| "the controller is stopping".to_owned();
        let change = async {
            self.modules.send(rollout::Request { command, by, reply }).await.map_err(|_| stopping(()))?;
            answer.await.map_err(|_| stopping(())).and_then(|result| result)
        };
        let late = |_| format!("it was not done within {within:?}, and is not begun any more; see `module status`");
        tokio::time::timeout(within, change).await.map_err(late)?
    }

    async fn forward(&self, command: Forwarded, by: Giver) -> Reply {
        let id: u64 = rand::random();
        let mut state = self.keeper.document();
        let until = Timestamp::now().saturating_add(LEADER_WITHIN).unwrap_or(Timestamp::MAX);
        let sent = CommandRequest { id, until, by, command };
        if let Err(error) = self.keeper.update(|state, _| state.request = Some(sent.clone())).await {
            return Reply::Refused(error.to_string());
        }
        let answered = state.wait_for(|state| state.answer.as_ref().is_some_and(|answer| answer.id == id));
        let reply =
            tokio::time::timeout(LEADER_WITHIN, answered).await.map(|state| match state.map(|s| s.answer.clone()) {
                Ok(Some(answer)) => answer.reply,
                Ok(None) => Reply::Refused("the answer was lost; see `module status`".into()),
                Err(_) => Reply::Refused("the controller is stopping".into()),
            });
        if let Ok(reply) = reply {
            return reply;
        }
        // Should that fail, its time is over all the same.
        let _ = self.keeper.update(|state, _| drop(state.request.take_if(|request| request.id == id))).await;
        Reply::Refused(format!("no leader answered within {LEADER_WITHIN:?}; see `module status`"))
    }

    /// Carries out what another replica was told, unless the one who told it waits no longer.
    async fn carry_out_for_others(&self, request: CommandRequest) -> Reply {
        let left = request.until.duration_since(Timestamp::now());
        match Duration::try_from(left) {
            Ok(left) if !left.is_zero() => {
                self.carry_out(request.command, request.by, left.min(LEADER_WITHIN)).await.into()
            }
            _ => {
                tracing::warn!("a command that came too late is not carried out; it was given {}", request.by);
                Reply::Refused("it came too late to the leader, and was not carried out".into())
            }
        }
    }

    /// Carries out the commands of other replicas while this one leads, until the future is dropped.
    pub async fn serve_others(&self) {
        let mut state = self.keeper.document();
        let mut leads = self.leads.clone();
        loop {
            let known = state.borrow_and_update().clone();
            if *leads.borrow_and_update()
                && let Some(request) = known.request.clone()
            {
                let id = request.id;
                let reply = bounded(self.carry_out_for_others(request).await, &self.view);
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
