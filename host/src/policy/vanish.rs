//! Which entries of a policy go, now that their services are gone: after a time, and never many at once.

use std::time::Duration;

use jiff::Timestamp;

use super::head::Head;
use crate::guard::HoldTime;
use crate::percent::Percent;

/// Entries whose services went within this time went at once.
const AT_ONCE: Duration = Duration::from_secs(60);
/// Fewer than this many are never too many, as with the guard's fleet limit, unless they are all.
const FEW: usize = 5;

/// The entries of one policy whose services are gone, or selected no more.
#[derive(Debug, Default)]
pub struct Vanished<'a> {
    pub entries: Vec<&'a Head>,
    /// All entries of the policy.
    pub of: usize,
    /// Services that are still selected.
    pub selected: usize,
    pub after: Option<HoldTime>,
    pub limit: Option<Percent>,
}

/// The way to deal with them.
#[derive(Debug, Default, PartialEq)]
pub struct Verdict<'a> {
    /// These are noted as gone.
    pub marked: Vec<&'a Head>,
    /// These are deleted, if nothing else speaks for them.
    pub due: Vec<&'a Head>,
    /// Why nothing is done at all.
    pub held: Option<String>,
}

impl<'a> Vanished<'a> {
    pub fn judge(self, now: Timestamp) -> Verdict<'a> {
        let limit = self.limit.unwrap_or(Percent::new(100));
        let (marked, unmarked): (Vec<_>, Vec<_>) =
            self.entries.iter().copied().partition(|entry| entry.gone_since.is_some());
        let recent = marked.iter().filter(|entry| age(entry, now).is_some_and(|age| age < AT_ONCE)).count();
        let due: Vec<_> = marked.iter().copied().filter(|entry| self.is_due(entry, now)).collect();
        let many = |count: usize| {
            let all = self.selected == 0 && count > 0 && count == self.of;
            (count >= FEW || all) && limit.is_passed(count, self.of)
        };
        let at_once = (unmarked.len() + recent).max(due.len());
        if many(unmarked.len() + recent) || many(due.len()) {
            let held = format!(
                "{at_once} of {} entries have no service any more at once, more than {limit}: nothing is pruned until they come \
                 back, the selector is corrected, or `prune.limit` of the policy allows it",
                self.of
            );
            return Verdict { held: Some(held), ..Verdict::default() };
        }
        Verdict { marked: unmarked, due, held: None }
    }

    fn is_due(&self, entry: &Head, now: Timestamp) -> bool {
        match self.after {
            Some(HoldTime::For(after)) => age(entry, now).is_some_and(|age| age >= after),
            Some(HoldTime::Never) | None => false,
        }
    }

    /// When the next of them will be due. One that is due already, and held, waits for no time.
    pub fn next_due(&self, now: Timestamp) -> Option<Duration> {
        let Some(HoldTime::For(after)) = self.after else { return None };
        let rests = self.entries.iter().filter_map(|entry| Some(after.saturating_sub(age(entry, now)?)));
        rests.filter(|rest| !rest.is_zero()).min()
    }
}

/// How long the service of an entry has been gone; none of a time that lies ahead, by another clock.
fn age(entry: &Head, now: Timestamp) -> Option<Duration> {
    Duration::try_from(now.duration_since(entry.gone_since?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: usize, gone_for: Option<i64>) -> Head {
        let gone_since = gone_for.map(|seconds| now() - jiff::SignedDuration::from_secs(seconds));
        Head { name: format!("e{number}"), gone_since, ..Head::default() }
    }

    fn now() -> Timestamp {
        "2026-01-02T00:00:00Z".parse().unwrap()
    }

    /// Judges entries whose services are gone for so many seconds, of so many in all; `after` is an hour.
    #[track_caller]
    fn check(gone: &[Option<i64>], of: usize, limit: u8, marked: usize, due: usize, held: bool) {
        let entries: Vec<_> = gone.iter().enumerate().map(|(number, gone)| entry(number, *gone)).collect();
        let vanished = Vanished {
            entries: entries.iter().collect(),
            of,
            selected: of - gone.len(),
            after: Some(HoldTime::For(Duration::from_secs(3_600))),
            limit: Some(Percent::new(limit)),
        };
        let verdict = vanished.judge(now());
        assert_eq!(
            (verdict.marked.len(), verdict.due.len(), verdict.held.is_some()),
            (marked, due, held),
            "{verdict:?}"
        );
    }

    #[test]
    fn few_go_after_their_time() {
        check(&[None], 100, 20, 1, 0, false);
        check(&[Some(3_599)], 100, 20, 0, 0, false);
        check(&[Some(3_600), None], 100, 20, 1, 1, false);
        check(&[Some(-60)], 100, 20, 0, 0, false);
    }

    #[test]
    fn many_at_once_are_held() {
        check(&[None; 20], 100, 20, 20, 0, false);
        check(&[None; 21], 100, 20, 0, 0, true);
        check(&[None; 4], 8, 20, 4, 0, false);
        check(&[None; 5], 8, 20, 0, 0, true);
        // Not one after the other, either.
        let mut slowly = [Some(59); 21];
        slowly[0] = None;
        check(&slowly, 100, 20, 0, 0, true);
        slowly[1..].fill(Some(61));
        check(&slowly, 100, 20, 1, 0, false);
        // Nor when their time is over at once.
        check(&[Some(4_000); 21], 100, 20, 0, 0, true);
    }

    #[test]
    fn all_are_many_however_few_there_are() {
        check(&[None; 1], 1, 20, 0, 0, true);
        check(&[None; 3], 3, 20, 0, 0, true);
    }

    #[test]
    fn a_person_may_let_any_number_go() {
        check(&[None; 50], 50, 100, 50, 0, false);
        check(&[Some(4_000); 50], 50, 100, 0, 50, false);
        check(&[None; 1], 1, 100, 1, 0, false);
    }

    /// Else one that is due, and held because the guard holds its endpoints or many are due at once, would be planned for again
    /// and again without a pause.
    #[test]
    fn only_what_will_be_due_is_waited_for() {
        let (due, later) = (entry(1, Some(4_000)), entry(2, Some(3_000)));
        let after = Some(HoldTime::For(Duration::from_secs(3_600)));
        for (entries, next) in [(vec![&due], None), (vec![&due, &later], Some(Duration::from_secs(600)))] {
            assert_eq!(Vanished { entries, after, ..Vanished::default() }.next_due(now()), next);
        }
    }

    #[test]
    fn never_is_never() {
        let old = entry(1, Some(1_000_000));
        let vanished = Vanished { entries: vec![&old], of: 9, selected: 8, after: Some(HoldTime::Never), limit: None };
        assert_eq!(vanished.next_due(now()), None);
        assert_eq!(vanished.judge(now()), Verdict::default());
    }
}
