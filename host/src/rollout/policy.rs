//! Decides whether a candidate may become the active module by itself.

use std::str::FromStr;
use std::time::Duration;

use super::Report;
use crate::percent::Percent;

/// The rules for changing modules.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The way of deciding, and the share of entries to begin with.
    pub decision: Decision,
    /// The largest share of all endpoints that may go without the operator being asked.
    pub most_removed: Percent,
    /// The largest share that may come.
    pub most_added: Percent,
    /// The largest share that may get another weight, label, port or locality; and of all entries that may get other ports,
    /// another resolution or location.
    pub most_altered: Percent,
    /// The time for which a canary is tried before it gets all entries.
    pub canary_time: Duration,
    /// The calls of a new module that may fail, or reject an entry that the previous one accepts, before it is rolled back.
    pub most_failures: u32,
    /// The time for which a new module is compared with the previous one.
    pub probation: Duration,
}

/// The way of deciding on a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// By the report while it is within the limits, else by the operator.
    Auto,
    /// Always by the operator.
    Review,
    /// As [`Self::Auto`], but on this share of the entries first.
    Canary(Percent),
}

/// The reasons why a candidate waits.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Objections {
    /// Reasons that the operator has to weigh.
    pub(super) standing: Vec<String>,
    /// Reasons that may pass by themselves: then the comparison is made again.
    pub(super) passing: Vec<String>,
}

impl Policy {
    /// The reasons why the operator has to decide; none if the candidate may become active by itself.
    pub(super) fn objections(&self, report: &Report) -> Objections {
        let Report { entries, rejected, failed, uncompared, stopped, .. } = report;
        let mut standing = Vec::new();
        if self.decision == Decision::Review {
            standing.push("--swap review asks a person every time".into());
        }
        if *failed > 0 {
            standing.push(format!("it fails on {failed} entries"));
        }
        if *rejected > 0 {
            standing.push(format!("it rejects {rejected} entries that are converted now"));
        }
        standing.extend(self.changes(report));
        if *stopped > 0 {
            standing.push(format!(
                "{stopped} of {} entries were not compared: that is stopped after ten failures or two minutes",
                entries + uncompared + stopped
            ));
        }
        let mut passing = Vec::new();
        if self.most_removed.is_passed(*uncompared, entries + uncompared) {
            passing.push(format!(
                "{uncompared} of {} entries could not be compared, as their services are not known yet",
                entries + uncompared
            ));
        }
        Objections { standing, passing }
    }
}

impl Policy {
    /// The objections to taking the candidate unasked.
    fn changes(&self, report: &Report) -> Vec<String> {
        let Report { entries, endpoints, removed, added, altered, invented, reshaped, .. } = report;
        let mut objections = Vec::new();
        let mut weigh = |count: usize, of: usize, things: &str, change: &str, flag: &str, most: Percent| {
            if most.is_passed(count, of) {
                let share = 100.0 * count as f64 / of.max(1) as f64;
                objections
                    .push(format!("{count} of {of} {things} ({share:.1} %) would {change}, and {flag} is {most}"));
            }
        };
        weigh(*removed, *endpoints, "endpoints", "go", "--swap-max-removed", self.most_removed);
        weigh(*added, *endpoints, "endpoints", "come", "--swap-max-added", self.most_added);
        let other = "get another weight, label, port, locality or account";
        weigh(*altered, *endpoints, "endpoints", other, "--swap-max-altered", self.most_altered);
        let other = "get other ports, another resolution or location";
        weigh(*reshaped, *entries, "entries", other, "--swap-max-altered", self.most_altered);
        if *invented > 0 {
            objections.push(format!(
                "{invented} endpoints would come at addresses at which the registry lists no instance: a person must want that"
            ));
        }
        objections
    }
}

impl Objections {
    pub(super) fn is_empty(&self) -> bool {
        self.standing.is_empty() && self.passing.is_empty()
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.standing.iter().chain(&self.passing).cloned().collect()
    }
}

impl FromStr for Decision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "review" => Ok(Self::Review),
            Some(("canary", share)) => share.parse().map(Self::Canary),
            _ => Err("write `auto`, `review` or `canary=10%`".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(decision: Decision) -> Policy {
        let minute = Duration::from_secs(60);
        let ten = Percent::new(10);
        Policy {
            decision,
            most_removed: ten,
            most_added: ten,
            most_altered: ten,
            canary_time: minute,
            most_failures: 3,
            probation: minute,
        }
    }

    #[test]
    fn objects_to_what_passes_a_limit() {
        let check = |decision, report: Report, standing: usize, passing: usize| {
            let objections = policy(decision).objections(&report);
            assert_eq!((objections.standing.len(), objections.passing.len()), (standing, passing), "{objections:?}");
        };
        let report = |removed, failed, rejected| Report {
            entries: 10,
            endpoints: 100,
            removed,
            failed,
            rejected,
            ..Report::default()
        };
        check(Decision::Auto, report(0, 0, 0), 0, 0);
        check(Decision::Auto, report(10, 0, 0), 0, 0);
        check(Decision::Auto, report(11, 0, 0), 1, 0);
        check(Decision::Auto, report(0, 1, 1), 2, 0);
        check(Decision::Review, report(0, 0, 0), 1, 0);
        check(Decision::Canary(Percent::new(5)), report(11, 0, 0), 1, 0);
        check(Decision::Auto, Report { removed: 1, ..Report::default() }, 1, 0);
        check(Decision::Auto, Report { added: 10, altered: 10, reshaped: 1, ..report(10, 0, 0) }, 0, 0);
        check(Decision::Auto, Report { added: 11, ..report(0, 0, 0) }, 1, 0);
        check(Decision::Auto, Report { altered: 11, ..report(0, 0, 0) }, 1, 0);
        check(Decision::Auto, Report { reshaped: 2, ..report(0, 0, 0) }, 1, 0);
        check(Decision::Auto, Report { added: 1, invented: 1, ..report(0, 0, 0) }, 1, 0);
        check(Decision::Auto, Report { uncompared: 1, ..report(0, 0, 0) }, 0, 0);
        check(Decision::Auto, Report { uncompared: 2, ..report(0, 0, 0) }, 0, 1);
        check(Decision::Auto, Report { uncompared: 1, ..Report::default() }, 0, 1);
        check(Decision::Auto, Report { stopped: 1, ..report(0, 0, 0) }, 1, 0);
        check(Decision::Auto, Report { stopped: 90, ..report(0, 10, 0) }, 2, 0);
    }

    #[test]
    fn reads_decisions() {
        assert_eq!("review".parse(), Ok(Decision::Review));
        assert_eq!("canary=5%".parse(), Ok(Decision::Canary(Percent::new(5))));
        assert!("canary".parse::<Decision>().is_err() && "canary=".parse::<Decision>().is_err());
    }
}
