//! What a row came to, by the entries as they were seen and by the API server's own account of the writes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::entry::addresses;
use super::known::Known;
use super::stage::{LATE, Stage};
use super::world::writes;

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
        let written = writes(&stage.servers.api, &stage.world.namespace).await;
        let mut books =
            Books { known: &stage.known.lock().unwrap(), last: BTreeMap::new(), lost: 0, wrong: Vec::new() };
        for write in &written {
            books.enter(&write.name, &write.body);
        }
        let (lost, wrong) = books.close();
        let all = std::iter::once(&mut stage.controller).chain(&mut stage.others);
        let exits = all.map(|controller| exits(&mut controller.process)).sum();
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
        for wrong in &self.wrong {
            write!(f, "\n    wrong: {wrong}")?;
        }
        self.recovered.as_ref().err().map_or(Ok(()), |state| write!(f, "\n    at last: {state}"))
    }
}

/// One that has ended, or in which a task has.
fn exits(process: &mut polaris2istio_tests::servers::Process) -> usize {
    usize::from(process.ended().is_some() || process.log().contains("panicked"))
}

/// The writes, one after the other, against what they were good for.
struct Books<'a> {
    known: &'a Known,
    /// How often an entry was written, and what it was given last.
    last: BTreeMap<String, (usize, Vec<String>)>,
    lost: usize,
    wrong: Vec<String>,
}

impl Books<'_> {
    fn enter(&mut self, name: &str, body: &Value) {
        let service = if name == LATE { "cart" } else { name };
        let given = addresses(body);
        if self.known.foreign(service, &given) {
            self.wrong.push(format!("{name} was given what its service never had: {given:?}"));
        }
        let given: Vec<_> = given.into_iter().map(str::to_owned).collect();
        let (times, last) = self.last.entry(name.into()).or_default();
        *times += 1;
        // What stays from some time on, it need not have had before that.
        self.lost += last.iter().filter(|host| self.known.stays(service, host) && !given.contains(host)).count();
        if *last == given {
            self.wrong.push(format!("{name} was given what it had: {given:?}"));
        }
        *last = given;
    }

    fn close(mut self) -> (usize, Vec<String>) {
        for (name, (times, _)) in &self.last {
            let needed = self.known.needed(if name == LATE { "cart" } else { name });
            if *times > needed {
                self.wrong.push(format!("{name} was written {times} times for {needed} changes of its service"));
            }
        }
        (self.lost, self.wrong)
    }
}
