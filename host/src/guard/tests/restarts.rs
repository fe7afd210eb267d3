//! What a process that ends leaves to the next one.

use std::time::Duration;

use super::bench::{Bench, Step, at};
use crate::clock;
use crate::guard::Kind::{self, Empty, Removal};
use crate::guard::past::Past;
use crate::guard::{Fleet, Holds};

/// Entries with their fleet, which both end and go on.
struct Processes {
    entries: Vec<Bench>,
    holds: Holds,
}

impl Processes {
    fn new(entries: usize, endpoints: &str) -> Self {
        let mut entries: Vec<_> = (0..entries).map(|number| Bench::new(endpoints, &format!("ns/{number}"))).collect();
        // What is written down is past by the clock on the wall.
        let begun = clock::now().checked_sub(Duration::from_secs(600)).unwrap();
        entries.iter_mut().for_each(|entry| entry.now = begun);
        let processes = Self { holds: Holds::new("20%".parse().unwrap()), entries };
        processes.holds.restore(Some(&Default::default()));
        processes.fleet().follow(processes.entries.len(), processes.entries.len());
        processes
    }

    fn fleet(&self) -> &Fleet {
        self.holds.fleet()
    }

    #[track_caller]
    fn check(&mut self, entry: usize, step: &Step) {
        // The bench names its entries alike, and the services not.
        let name = format!("ns/{entry}");
        self.entries[entry].live.metadata.name = Some(entry.to_string());
        let (found, decision) = self.entries[entry].perform(step, self.holds.fleet());
        self.holds.note(&name, &decision.holds, decision.past.clone());
        let kinds: Vec<_> = decision.holds.iter().map(|hold| hold.kind).collect();
        assert_eq!((found.as_str(), kinds.as_slice()), step.expected(), "entry {entry}");
    }

    #[track_caller]
    fn all(&mut self, step: &Step) {
        (0..self.entries.len()).for_each(|entry| self.check(entry, step));
    }

    /// The next process, which reads what this one wrote, or does not.
    fn restart(&mut self, reads: bool) {
        let written = serde_json::to_string(&self.holds.record()).unwrap();
        let record = serde_json::from_str(&written).ok().filter(|_| reads);
        self.holds = Holds::new("20%".parse().unwrap());
        self.holds.restore(record.as_ref());
        self.fleet().follow(self.entries.len(), self.entries.len());
        for (number, entry) in self.entries.iter_mut().enumerate() {
            entry.restart(self.holds.take_past(&format!("ns/{number}")));
        }
    }
}

/// Every restart begins with what the last one knew: neither is the hold lost, nor does it begin anew.
#[test]
fn a_hold_keeps_its_end_over_restarts() {
    let mut processes = Processes::new(1, "abcd");
    processes.all(&at(0, "abcd", "abcd", &[]));
    processes.all(&at(10, "", "abcd", &[Empty]));
    for second in [100, 200, 300] {
        processes.restart(true);
        processes.all(&at(second, "", "abcd", &[Empty]));
    }
    processes.all(&at(305, "", "abcd", &[Empty]));
    processes.all(&at(312, "", "", &[]));
    // Each endpoint has its own end, over a restart too.
    let mut processes = Processes::new(1, "abcdefgh");
    processes.all(&at(0, "abc", "abcdefgh", &[Removal]));
    processes.all(&at(50, "a", "abcdefgh", &[Removal]));
    processes.restart(true);
    processes.all(&at(60, "a", "abcdefgh", &[Removal]));
    processes.all(&at(120, "a", "abcdefgh", &[Removal]));
    processes.all(&at(135, "a", "abc", &[Removal]));
    processes.all(&at(170, "a", "abc", &[Removal]));
    processes.all(&at(185, "a", "a", &[]));
}

/// Thirty services that lose four of ten under an alarm keep them, whoever ends.
#[test]
fn the_alarm_outlives_the_process() {
    for reads in [true, false] {
        let mut processes = Processes::new(30, "abcdefghij");
        processes.all(&at(0, "abcdefghij", "abcdefghij", &[]));
        for entry in 0..7 {
            let kinds: &[Kind] = if entry < 6 { &[Empty] } else { &[Kind::Fleet] };
            processes.check(entry, &at(1, "", "abcdefghij", kinds));
        }
        (7..30).for_each(|entry| processes.check(entry, &at(2, "abcdef", "abcdefghij", &[Kind::Fleet])));
        processes.restart(reads);
        if reads {
            processes.all(&at(3, "abcdef", "abcdefghij", &[Kind::Fleet]));
        } else {
            // Nobody knows of an alarm, so any loss may be a part of one: it is raised anew.
            (0..6).for_each(|entry| processes.check(entry, &at(3, "abcdef", "abcdefghij", &[Removal])));
            (6..30).for_each(|entry| processes.check(entry, &at(3, "abcdef", "abcdefghij", &[Kind::Fleet])));
        }
        processes.all(&at(9_999, "abcdef", "abcdefghij", &[Kind::Fleet]));
        assert!(processes.fleet().alarm().is_some());
        processes.all(&at(10_000, "abcdefghij", "abcdefghij", &[]));
        assert_eq!(processes.fleet().alarm(), None);
    }
}

#[test]
fn a_past_that_is_lost_lets_nothing_go_at_once() {
    let mut processes = Processes::new(1, "abcdefghij");
    processes.all(&at(0, "abcdefghij", "abcdefghij", &[]));
    processes.restart(false);
    processes.all(&at(1, "abcdefgh", "abcdefghij", &[Removal]));
    processes.all(&at(2, "abcdefgh", "abcdefghij", &[Removal]));
    processes.all(&at(12, "abcdefgh", "abcdefgh", &[]));
    // From then on it is known.
    processes.all(&at(13, "abcdefg", "abcdefg", &[]));
}

/// A loss that goes on over restarts is one loss: the entry itself says how many it had.
#[test]
fn a_slow_bleed_over_restarts_is_one_loss() {
    let mut processes = Processes::new(1, "abcdefgh");
    processes.all(&at(0, "abcdefgh", "abcdefgh", &[]));
    processes.all(&at(1, "abcde", "abcde", &[]));
    processes.restart(true);
    processes.all(&at(2, "abcd", "abcd", &[]));
    processes.restart(false);
    processes.all(&at(3, "abc", "abcd", &[Removal]));
}

#[test]
fn what_the_entry_says_counts_for_the_window_alone() {
    let mut processes = Processes::new(1, "abcdefgh");
    processes.all(&at(0, "abcd", "abcd", &[]));
    processes.restart(true);
    processes.all(&at(601, "abc", "abc", &[]));
    let mut bench = Bench::new("abcd", "ns/now");
    for nonsense in ["", "8", "8 until tomorrow", "many until 2999-01-01T00:00:00Z"] {
        bench.live.metadata.annotations.get_or_insert_default().insert(crate::annotation::MOST.into(), nonsense.into());
        let (found, _) = bench.perform(&at(0, "abcd", "abcd", &[]), &Fleet::new("20%".parse().unwrap()));
        bench.restart(Past::Nothing);
        assert_eq!(found, "abcd");
    }
}
