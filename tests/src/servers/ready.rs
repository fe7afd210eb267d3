//! Starting a server until it serves.

use std::fmt::Display;
use std::time::Duration;

use super::process::Process;
use crate::poll::try_for;

/// Far more than any of the servers needs, since a build may run beside them.
const START: Duration = Duration::from_secs(60);

/// How many sets of ports are tried.
const TRIES: u32 = 3;

/// Waits until `probe` answers, or fails as soon as the process has ended.
pub(super) async fn ready<S, F>(process: &mut Process, probe: impl Fn() -> F) -> Result<(), String>
where
    S: Display,
    F: Future<Output = Result<(), S>>,
{
    let outcome = try_for(START, || {
        let ended = process.ended();
        let answer = probe();
        async move {
            match ended {
                // The end of the process ends the waiting, so it is an answer.
                Some(status) => Ok(Err(format!("it ended by itself: {status}"))),
                None => answer.await.map(Ok),
            }
        }
    })
    .await;
    outcome
        .unwrap_or_else(|state| Err(format!("not ready within {START:?}; last seen: {state}")))
        .map_err(|reason| format!("{reason}\n{}", process.log_tail()))
}

/// Starts a server, with other ports when that fails: another process may have
/// taken one between the check and the use.
///
/// # Panics
///
/// With the reason and the end of the log when it never starts.
pub(super) async fn start<T, F>(what: &str, start: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let mut reason = String::new();
    for _ in 0..TRIES {
        match start().await {
            Ok(server) => return server,
            Err(error) => reason = error,
        }
    }
    panic!("{what} did not start in {TRIES} tries: {reason}");
}
