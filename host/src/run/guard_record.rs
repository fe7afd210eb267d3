//! What the guard knows, in the shared state: so that its alarm and its holds outlive the process, and go over to the next leader.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use super::StatePlace;
use crate::guard::{GuardRecord, Holds};
use crate::log_once::LogOnce;
use crate::rollout::SharedState;
use crate::state::{Keeper, StateError};

/// Between two writes of it: holds begin and end in swarms.
const PAUSE: Duration = Duration::from_secs(1);
/// It is compared with what is written so often, should nobody have told of a change.
const REGULARLY: Duration = Duration::from_secs(60);
/// How long a stop waits for the last one.
const LAST_WITHIN: Duration = Duration::from_secs(1);

/// Goes on from what the shared state says. Where none is kept, nothing was ever known, so that nothing was lost.
pub(super) fn restore(holds: &Holds, state: &SharedState, place: &StatePlace) {
    match place {
        StatePlace::Nowhere => holds.restore(Some(&GuardRecord::default())),
        StatePlace::File(_) | StatePlace::ConfigMap { .. } => holds.restore(state.guard.as_ref()),
    }
}

/// Writes it whenever it changes while this process leads, until the future is dropped.
pub(super) async fn write_record(
    holds: Arc<Holds>,
    keeper: Arc<Keeper<SharedState>>,
    mut leads: watch::Receiver<bool>,
) {
    let mut log = LogOnce::default();
    loop {
        if *leads.borrow_and_update() {
            match write(&holds, &keeper).await {
                Ok(()) => drop(log.clear()),
                Err(error) => {
                    if log.is_news("guard", error.to_string()) {
                        warn!("what is held is not in the shared state, the next process would hold it anew: {error}");
                    }
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            () = holds.changed() => {}
            () = tokio::time::sleep(REGULARLY) => {}
            Ok(()) = leads.changed() => {}
        }
    }
}

/// Writes it a last time.
pub(super) async fn write_last_record(holds: &Holds, keeper: &Keeper<SharedState>) {
    match tokio::time::timeout(LAST_WITHIN, write(holds, keeper)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!("what is held was not written down: {error}"),
        Err(_) => warn!("what is held was not written down within {LAST_WITHIN:?}"),
    }
}

async fn write(holds: &Holds, keeper: &Keeper<SharedState>) -> Result<(), StateError> {
    let record = holds.record();
    keeper.update(|state, _| state.guard = Some(record.clone())).await
}
