//! Many entries that lose endpoints at once.

use super::bench::{Bench, Step, at};
use crate::guard::Kind::{self, Empty, Removal};
use crate::guard::{Fleet, Release};

/// So many entries with four endpoints each, of so many services that are followed.
struct Mesh {
    entries: Vec<Bench>,
    fleet: Fleet,
}

impl Mesh {
    fn new(entries: usize) -> Self {
        let fleet = Fleet::new("20%".parse().unwrap());
        fleet.follow(entries, entries);
        let entries = (0..entries).map(|number| Bench::new("abcd", &format!("ns/{number}"))).collect();
        let mut mesh = Self { entries, fleet };
        (0..mesh.entries.len()).for_each(|entry| mesh.check(entry, &at(0, "abcd", "abcd", &[])));
        mesh
    }

    #[track_caller]
    fn check(&mut self, entry: usize, step: &Step) {
        let (found, decision) = self.entries[entry].perform(step, &self.fleet);
        let kinds: Vec<_> = decision.holds.iter().map(|hold| hold.kind).collect();
        let wanted = step.expected();
        assert_eq!((found.as_str(), kinds.as_slice()), wanted, "entry {entry}");
        let open = decision.holds.iter().filter(|hold| hold.kind == Kind::Fleet).all(|hold| hold.until.is_none());
        assert!(open, "held without end");
    }

    fn all(&mut self, range: std::ops::Range<usize>, step: &Step) {
        range.for_each(|entry| self.check(entry, step));
    }
}

#[test]
fn a_registry_restored_empty_clears_nothing() {
    let mut mesh = Mesh::new(20);
    mesh.all(0..4, &at(1, "-", "abcd", &[Empty]));
    // The fifth is more than a fifth only of fewer than 25.
    mesh.all(4..20, &at(2, "-", "abcd", &[Kind::Fleet]));
    assert_eq!(mesh.fleet.alarm().map(|alarm| (alarm.services, alarm.holding)), Some((5, 16)));
    // The first ones' five minutes are no end any more.
    mesh.all(0..4, &at(301, "-", "abcd", &[Kind::Fleet]));
    mesh.all(0..20, &at(99_999, "", "abcd", &[Kind::Fleet]));
    // What is listed again is as listed, what is not is held; small losses are held as well, and what is replaced is none.
    mesh.all(0..1, &at(100_000, "bcd", "abcd", &[Kind::Fleet]));
    mesh.all(1..2, &at(100_000, "Abcd", "bcd", &[]));
    mesh.all(2..20, &at(100_001, "abcd", "abcd", &[]));
    assert!(mesh.fleet.alarm().is_some());
    mesh.all(0..1, &at(100_002, "bcde", "bcde", &[]));
    assert_eq!(mesh.fleet.alarm(), None);
    mesh.all(0..1, &at(100_003, "cde", "cde", &[]));
}

#[test]
fn ordinary_rollouts_raise_no_alarm() {
    let mut mesh = Mesh::new(20);
    for second in 1..=20 {
        let entry = second as usize - 1;
        mesh.all(entry..entry + 1, &at(second, "bcde", "bcde", &[]));
        mesh.all(entry..entry + 1, &at(second, "efgh", "efgh", &[]));
    }
    assert_eq!(mesh.fleet.alarm(), None);
}

/// A health checker that lost its heartbeats: the first few are believed, the fleet is not.
#[test]
fn unhealthy_everywhere_is_held_by_the_alarm() {
    let mut mesh = Mesh::new(20);
    mesh.all(0..4, &at(1, "012d", "d", &[]));
    mesh.all(4..20, &at(1, "012d", "abcd", &[Kind::Fleet]));
    mesh.all(4..20, &at(9_999, "012d", "abcd", &[Kind::Fleet]));
    mesh.all(0..20, &at(10_000, "abcd", "abcd", &[]));
    assert_eq!(mesh.fleet.alarm(), None);
    mesh.all(0..1, &at(10_001, "0bcd", "bcd", &[]));
}

#[test]
fn a_few_services_raise_no_alarm() {
    let mut mesh = Mesh::new(26);
    mesh.all(0..2, &at(1, "-", "abcd", &[Empty]));
    mesh.all(2..5, &at(1, "a", "abcd", &[Removal]));
    assert_eq!(mesh.fleet.alarm(), None);
    mesh.all(5..6, &at(60, "ab", "abcd", &[Kind::Fleet]));
}

#[test]
fn losses_further_apart_raise_no_alarm() {
    let mut mesh = Mesh::new(10);
    mesh.all(0..4, &at(1, "-", "abcd", &[Empty]));
    mesh.all(4..8, &at(62, "-", "abcd", &[Empty]));
    assert_eq!(mesh.fleet.alarm(), None);
}

#[test]
fn what_someone_isolates_everywhere_raises_no_alarm_and_goes_during_one() {
    let mut mesh = Mesh::new(10);
    mesh.all(0..10, &at(1, "ABCd", "d", &[]));
    assert_eq!(mesh.fleet.alarm(), None);
    let mut mesh = Mesh::new(10);
    mesh.all(0..4, &at(1, "-", "abcd", &[Empty]));
    mesh.all(4..5, &at(1, "-", "abcd", &[Kind::Fleet]));
    mesh.all(5..10, &at(2, "ABCD", "", &[]));
}

#[test]
fn a_person_says_that_the_losses_are_real() {
    let mut mesh = Mesh::new(10);
    mesh.all(0..4, &at(1, "-", "abcd", &[Empty]));
    mesh.all(4..5, &at(1, "-", "abcd", &[Kind::Fleet]));
    mesh.all(0..5, &at(2, "-", "abcd", &[Kind::Fleet]));
    mesh.fleet.reset();
    mesh.all(0..5, &at(3, "-", "", &[]).released(Release::Fleet));
    assert_eq!(mesh.fleet.alarm(), None);
    mesh.all(5..9, &at(4, "-", "abcd", &[Empty]));
}
