//! A row of the table: a fault by name, how it is made, and how soon all must be well after it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;

use super::controller::Start;
use super::stage::{Servers, Stage};
use super::verdict::Verdict;

/// How soon all is well where something tells the controller that the fault is over.
const SOON: Duration = Duration::from_secs(5);

/// How soon it is where only the end of a wait does, which has grown meanwhile.
const BACK_OFF: Duration = Duration::from_secs(30);

/// Makes the fault, holds it for its time, and ends it.
pub(crate) type Fault = for<'a, 'b> fn(&'a mut Stage<'b>) -> LocalBoxFuture<'a, ()>;

/// A row.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Whether it runs with every test run.
    pub(crate) quick: bool,
    /// From the end of the fault to the last entry that is in line.
    within: Duration,
    needs: fn() -> Result<(), &'static str>,
    change: fn(Start) -> Start,
    fault: Fault,
}

impl Row {
    /// One that all must be over within five seconds after.
    pub(crate) const fn new(name: &'static str, fault: Fault) -> Self {
        Self { name, quick: false, within: SOON, needs: || Ok(()), change: |start| start, fault }
    }

    /// One of every test run.
    pub(crate) const fn quick(self) -> Self {
        Self { quick: true, ..self }
    }

    /// The requirements on the machine.
    pub(crate) const fn needs(self, needs: fn() -> Result<(), &'static str>) -> Self {
        Self { needs, ..self }
    }

    /// Only a wait that has grown meanwhile ends it.
    pub(crate) const fn backs_off(self) -> Self {
        Self { within: BACK_OFF, ..self }
    }

    /// Its controller is started in another way.
    pub(crate) const fn with(self, change: fn(Start) -> Start) -> Self {
        Self { change, ..self }
    }

    /// Whether it can be run here; where not, that is said loudly, or fails, as with the servers themselves.
    pub(crate) fn can_run(&self) -> bool {
        let Err(missing) = (self.needs)() else { return true };
        let message = format!("{}: {missing}", self.name);
        assert!(std::env::var_os("POLARIS2ISTIO_REQUIRE_SERVERS").is_none(), "{message}");
        println!("SKIPPED {message}");
        false
    }

    /// Runs it. A row that cannot be played to its end is the panic's message.
    pub(crate) async fn run(&self, servers: &mut Servers) -> Option<Verdict> {
        AssertUnwindSafe(self.check(servers)).catch_unwind().await.ok()
    }

    async fn check(&self, servers: &mut Servers) -> Verdict {
        let name = self.name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-").to_lowercase();
        let mut stage = Stage::set(servers, name.trim_matches('-'), self.change).await;
        (self.fault)(&mut stage).await;
        let recovered = stage.recover().await;
        Verdict::of(self.name, &mut stage, recovered, self.within).await
    }
}
