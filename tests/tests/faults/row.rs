//! A row of the table: a fault by name, how it is made, and how soon all must be well after it.

use std::time::Duration;

use futures::future::LocalBoxFuture;

use super::controller::Start;
use super::stage::{Servers, Stage};
use super::verdict::Verdict;

/// Makes the fault, holds it for its time, and ends it.
pub(crate) type Fault = for<'a, 'b> fn(&'a mut Stage<'b>) -> LocalBoxFuture<'a, ()>;

/// A row.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Whether it runs with every test run.
    pub(crate) quick: bool,
    /// From the end of the fault to the last entry that is in line.
    within: Duration,
    change: fn(Start) -> Start,
    fault: Fault,
}

impl Row {
    /// One that all must be over within five seconds after.
    pub(crate) const fn new(name: &'static str, fault: Fault) -> Self {
        Self { name, quick: false, within: Duration::from_secs(5), change: |start| start, fault }
    }

    /// One of every test run.
    pub(crate) const fn quick(self) -> Self {
        Self { quick: true, ..self }
    }

    /// Only a wait that has grown meanwhile ends it.
    pub(crate) const fn backs_off(self) -> Self {
        Self { within: Duration::from_secs(30), ..self }
    }

    /// Its controller is started in another way.
    pub(crate) const fn with(self, change: fn(Start) -> Start) -> Self {
        Self { change, ..self }
    }

    /// Runs it.
    pub(crate) async fn check(&self, servers: &mut Servers) -> Verdict {
        let name = self.name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-").to_lowercase();
        let mut stage = Stage::set(servers, name.trim_matches('-'), self.change).await;
        (self.fault)(&mut stage).await;
        let recovered = stage.recover().await;
        Verdict::of(self.name, &mut stage, recovered, self.within).await
    }
}
