//! Steady load through a sidecar, and who answered it.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use polaris2istio_tests::servers::Envoy;
use polaris2istio_tests::wait_for;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::SOON;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);
/// The most requests of a load that is not stopped.
const MOST: usize = 20_000;

/// Answers in the order in which they came: a backend's name, or what went wrong.
type Answers = Arc<Mutex<Vec<Result<String, String>>>>;

/// A load that runs until it is dropped, or for [`MOST`] requests.
pub(crate) struct Load {
    answers: Answers,
    task: JoinHandle<()>,
}

impl Load {
    /// Starts one.
    pub(crate) fn start(envoy: &Arc<Envoy>, host: &str, port: u16) -> Self {
        let answers = Answers::default();
        let (envoy, host, all) = (Arc::clone(envoy), host.to_owned(), Arc::clone(&answers));
        let task = tokio::spawn(async move {
            let mut ticks = interval(PAUSE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for _ in 0..MOST {
                ticks.tick().await;
                let answer = envoy.get(&host, port).await;
                all.lock().unwrap().push(answer);
            }
        });
        Self { answers, task }
    }

    /// How many requests were answered so far.
    pub(crate) fn count(&self) -> usize {
        self.answers.lock().unwrap().len()
    }

    /// The answers from a position on.
    pub(crate) fn since(&self, position: usize) -> Vec<Result<String, String>> {
        self.answers.lock().unwrap()[position..].to_vec()
    }

    /// The reasons of all requests that failed so far.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.since(0).into_iter().filter_map(Result::err).collect()
    }

    /// Waits until a backend has answered, after a position.
    pub(crate) async fn answered_by(&self, name: &str, position: usize) {
        wait_for(&format!("{name} answers"), SOON, || async {
            let all = self.since(position);
            let found = all.iter().any(|answer| answer.as_deref() == Ok(name));
            if found { Ok(()) } else { Err(format!("{} answers, the last: {:?}", all.len(), all.last())) }
        })
        .await;
    }

    /// Waits until the last hundred requests were answered by just this backend.
    pub(crate) async fn answered_only_by(&self, name: &str) {
        wait_for(&format!("only {name} answers"), SOON, || async {
            let last = self.since(self.count().saturating_sub(100));
            let only = last.len() == 100 && last.iter().all(|answer| answer.as_deref() == Ok(name));
            if only { Ok(()) } else { Err(format!("{:?}", last.last())) }
        })
        .await;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}
