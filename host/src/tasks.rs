//! Tasks that run as long as the process: the end of any of them is the end of the process, since it would go on without that
//! part and nobody would notice. Each has a heartbeat, by which the liveness probe finds one that is stuck.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinError, JoinSet};

/// The time between two heartbeats.
const BEAT: Duration = Duration::from_secs(5);
/// A task without a heartbeat for so long is stuck. It is long beside all that a busy machine does to a task.
const STUCK: Duration = Duration::from_secs(60);
/// The length to which the words of a panic are cut.
const WORDS: usize = 500;

/// Tasks, each by its name. They end when this is dropped.
pub struct Tasks {
    pulse: Pulse,
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

/// The heartbeats of all tasks of a process.
#[derive(Clone, Default)]
pub struct Pulse {
    beats: Arc<Mutex<BTreeMap<&'static str, Instant>>>,
}

/// A task came to an end, and was not to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the part `{task}` {end}; nothing goes on without it, so this process ends, to be started anew")]
pub struct TaskEnded {
    /// Its name.
    pub task: &'static str,
    /// How it ended.
    pub end: String,
}

/// The heartbeat of one task, which stops counting with it.
struct Heart {
    pulse: Pulse,
    task: &'static str,
}

impl Tasks {
    /// None yet. Their heartbeats go to a pulse.
    pub fn new(pulse: Pulse) -> Self {
        Self { pulse, running: JoinSet::new(), names: HashMap::new() }
    }

    /// The heartbeats of these and of all others that have the same.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Starts a task that is not to end.
    pub fn spawn(&mut self, task: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let heart = Heart { pulse: self.pulse.clone(), task };
        let handle = self.running.spawn(heart.beat(work, BEAT));
        self.names.insert(handle.id(), task);
    }

    /// Waits until one ends; for ever, if there is none.
    pub async fn ended(&mut self) -> TaskEnded {
        let (id, end) = match self.running.join_next_with_id().await {
            Some(Ok((id, ()))) => (id, "ended".to_owned()),
            Some(Err(error)) => (error.id(), words(error)),
            None => return std::future::pending().await,
        };
        TaskEnded { task: self.names.get(&id).copied().unwrap_or("unknown"), end }
    }

    /// Ends them all.
    pub async fn shutdown(mut self) {
        self.running.shutdown().await;
    }
}

impl Pulse {
    /// The tasks that are stuck, each with the time since its last heartbeat.
    pub fn stuck(&self, now: Instant) -> Vec<(&'static str, Duration)> {
        let silent = |(task, beat): (&&'static str, &Instant)| (*task, now.saturating_duration_since(*beat));
        self.lock().iter().map(silent).filter(|(_, silent)| *silent > STUCK).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Instant>> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heart {
    /// Works, and beats between two steps of the work: if a step blocks, or never ends, there is no beat.
    async fn beat(self, work: impl Future<Output = ()>, every: Duration) {
        let mut work = pin!(work);
        loop {
            self.pulse.lock().insert(self.task, Instant::now());
            if tokio::time::timeout(every, &mut work).await.is_ok() {
                return;
            }
        }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.pulse.lock().remove(self.task);
    }
}

fn words(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "was cancelled".into() };
    let said = said(&*panic);
    format!("panicked: {}", &said[..said.floor_char_boundary(WORDS)])
}

/// The words of a panic, which are one of two types by the standard library's promise.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words")
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    async fn ends(work: impl Future<Output = ()> + Send + 'static) -> TaskEnded {
        let mut tasks = Tasks::new(Pulse::default());
        tasks.spawn("goes on", pending());
        tasks.spawn("ends", work);
        tasks.ended().await
    }

    #[tokio::test]
    async fn the_end_of_one_is_told_with_its_reason() {
        let number = 7;
        for (ended, end) in [
            (ends(async {}).await, "ended"),
            (ends(async { panic!("a word") }).await, "panicked: a word"),
            (ends(async move { panic!("number {number}") }).await, "panicked: number 7"),
        ] {
            assert_eq!(ended, TaskEnded { task: "ends", end: end.into() });
        }
    }

    #[tokio::test]
    async fn a_task_that_does_not_move_is_stuck_and_one_that_ended_is_not() {
        let pulse = Pulse::default();
        let mut tasks = Tasks::new(pulse.clone());
        tasks.spawn("waits", pending());
        let later = || Instant::now() + STUCK * 2;
        while pulse.stuck(later()).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(pulse.stuck(Instant::now()), []);
        let stuck: Vec<_> = pulse.stuck(later()).into_iter().map(|(task, _)| task).collect();
        assert_eq!(stuck, ["waits"]);
        tasks.shutdown().await;
        assert_eq!(pulse.stuck(later()), []);
    }

    #[tokio::test]
    async fn a_task_that_only_waits_has_a_heartbeat() {
        let pulse = Pulse::default();
        let heart = Heart { pulse: pulse.clone(), task: "waits" };
        let beating = tokio::spawn(heart.beat(pending(), Duration::from_millis(1)));
        let beat = || pulse.lock().get("waits").copied();
        let again = async {
            let first = loop {
                tokio::task::yield_now().await;
                if let Some(first) = beat() {
                    break first;
                }
            };
            while beat() == Some(first) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), again).await.unwrap();
        beating.abort();
    }
}
