//! The verdict on a row, by the entries as they were seen and by the API server's own account of the writes.

use std::fmt;
use std::time::Duration;

use polaris2istio_tests::servers::{Process, Write};

use super::books::Books;
use super::stage::Stage;

/// The words of a panic.
const PANIC: &str = "panicked";

/// Wrong writes that are shown: the others are mostly the same.
const SHOWN: usize = 5;

/// The figures of a row.
pub(crate) struct Verdict {
    name: &'static str,
    looks: usize,
    lost: usize,
    writes: usize,
    wrong: Vec<String>,
    recovered: Result<Duration, String>,
    within: Duration,
    exits: usize,
}

impl Verdict {
    /// Of a row that is over.
    pub(crate) async fn of(
        name: &'static str,
        stage: &mut Stage<'_>,
        recovered: Result<Duration, String>,
        within: Duration,
    ) -> Self {
        let seen = stage.sampler.seen();
        let written = written(stage).await;
        let known = stage.known.lock().unwrap();
        let mut books = Books::new(&known);
        written.iter().for_each(|write| books.enter(write));
        let (lost, mut wrong) = books.close();
        drop(known);
        wrong.extend(seen.wrong);
        let all = std::iter::once(&mut stage.controller).chain(&mut stage.others);
        let exits: usize = all.map(|controller| exits(&mut controller.process)).sum();
        // A panic that could not be logged is one all the same.
        let unlogged = stage.unwritten.as_ref().is_some_and(|unwritten| unwritten.text().contains(PANIC));
        let exits = exits + usize::from(unlogged);
        let (looks, lost) = (seen.looks, seen.lost + lost);
        Self { name, looks, lost, writes: written.len(), wrong, recovered, within, exits }
    }

    /// Whether all is within bounds.
    pub(crate) fn good(&self) -> bool {
        let in_time = self.recovered.as_ref().is_ok_and(|took| *took < self.within);
        // Without a look nothing would be known.
        self.lost == 0 && self.wrong.is_empty() && self.exits == 0 && in_time && self.looks > 0
    }

    /// The line above the rows.
    pub(crate) fn head() -> String {
        format!(
            "{:34} {:>5} {:>5} {:>7} {:>6} {:>9} {:>6} {:>5}",
            "fault", "looks", "lost", "writes", "wrong", "recovered", "bound", "exits"
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recovered = match &self.recovered {
            Ok(took) => format!("{:.1} s", took.as_secs_f64()),
            Err(_) => "never".into(),
        };
        write!(
            f,
            "{:34} {:>5} {:>5} {:>7} {:>6} {:>9} {:>6} {:>5}{}",
            self.name,
            self.looks,
            self.lost,
            self.writes,
            self.wrong.len(),
            recovered,
            format!("{} s", self.within.as_secs()),
            self.exits,
            if self.good() { "" } else { "  <- out of bounds" },
        )?;
        for wrong in self.wrong.iter().take(SHOWN) {
            write!(f, "\n    wrong: {wrong}")?;
        }
        self.recovered.as_ref().err().map_or(Ok(()), |state| write!(f, "\n    at last: {state}"))
    }
}

/// The writes that the controllers of a row have done. By the user, since only applies name their manager.
async fn written(stage: &Stage<'_>) -> Vec<Write> {
    let account = format!("system:serviceaccount:{}:", stage.world.release.namespace);
    let mut all = stage.servers.api.writes(&stage.world.namespace).await;
    all.retain(|write| {
        write.resource == "serviceentries" && write.user.starts_with(&account) && matches!(write.code, 200 | 201)
    });
    all
}

/// One that has ended, or in which a task has.
fn exits(process: &mut Process) -> usize {
    usize::from(process.ended().is_some() || process.log().contains(PANIC))
}
