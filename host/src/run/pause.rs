//! A pause, which a person gives all replicas by the shared state.

use std::sync::Arc;

use tracing::warn;

use crate::gate::{Gate, Shut};
use crate::state::Keeper;

/// Stops all writes while the shared state says so.
pub(super) async fn pause(keeper: Arc<Keeper>, gate: Arc<Gate>) {
    let mut state = keeper.state();
    loop {
        let paused = state.borrow_and_update().paused.clone();
        match &paused {
            Some(paused) => {
                warn!(since = %paused.since, reason = paused.reason, "all writes are paused; `polaris2istio resume` lets them go");
                gate.shut(Shut::Paused);
            }
            None => gate.lift(Shut::Paused),
        }
        if state.wait_for(|state| state.paused != paused).await.is_err() {
            return;
        }
    }
}
