//! A pause, which the operator gives all replicas by the shared state.

use std::sync::Arc;

use tracing::warn;

use crate::rollout::SharedState;
use crate::state::Keeper;
use crate::writes::{BlockReason, Gate};

/// Blocks all writes while the shared state says so.
pub(super) async fn pause(keeper: Arc<Keeper<SharedState>>, gate: Arc<Gate>) {
    let mut state = keeper.document();
    loop {
        let paused = state.borrow_and_update().paused.clone();
        match &paused {
            Some(paused) => {
                warn!(since = %paused.since, reason = paused.reason, "all writes are paused; `polaris2istio resume` lets them go");
                gate.block(BlockReason::Paused);
            }
            None => gate.unblock(BlockReason::Paused),
        }
        if state.wait_for(|state| state.paused != paused).await.is_err() {
            return;
        }
    }
}
