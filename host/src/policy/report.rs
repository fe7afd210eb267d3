//! The report of a policy's reconciliation, and how its status says so.

use jiff::Timestamp;

use super::status::{Condition, ImportStatus, REFUSED_NAMED, RefusedService};

/// The outcome of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Services that are selected.
    pub services: usize,
    /// Entries that are the policy's.
    pub entries: usize,
    /// Selected services whose entry is not there yet.
    pub missing: usize,
    /// Entries whose service is gone, or selected no more.
    pub gone: usize,
    /// Services without an entry, each with the reason.
    pub refused: Vec<RefusedService>,
    /// How many of these because another entry has the name or the host.
    pub conflicts: usize,
    /// Why it cannot be carried out.
    pub trouble: Option<Trouble>,
}

/// Why a policy is not carried out, or not wholly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its own words cannot work.
    Invalid(String),
    /// Nothing is known of its namespace yet.
    Waiting,
    /// The registry gives no sound answer; the last one stands, and nothing is pruned.
    Registry(String),
    /// Too much would be pruned.
    Held(String),
    /// It is being deleted, and its entries with it.
    Deleting,
}

impl Report {
    pub fn is_ready(&self) -> bool {
        let (ready, _, _) = self.words();
        ready
    }

    /// Whether it is on its way to another state, which comes by itself.
    pub fn is_passing(&self) -> bool {
        let (_, word, _) = self.words();
        ["Making", "Waiting", "Deleting"].contains(&word)
    }

    /// Whether all is well, in one word and in a sentence.
    pub fn words(&self) -> (bool, &'static str, String) {
        let Self { services, missing, .. } = self;
        match &self.trouble {
            Some(Trouble::Invalid(text)) => (false, "Invalid", text.clone()),
            Some(Trouble::Waiting) => (false, "Waiting", "the registry has not answered for the namespace yet".into()),
            Some(Trouble::Registry(text)) => {
                (false, "Registry", format!("{text}; entries stay as they are, and nothing is pruned meanwhile"))
            }
            Some(Trouble::Held(text)) => (false, "PruningHeld", text.clone()),
            Some(Trouble::Deleting) => {
                (false, "Deleting", format!("{} entries are still to be deleted with it", self.entries))
            }
            None if !self.refused.is_empty() => {
                let first = self.refused.first().map(|first| format!("{}: {}", first.service, first.reason));
                let text = format!(
                    "{} of {services} services have no entry; {}",
                    self.refused.len(),
                    first.unwrap_or_default()
                );
                (false, "Refused", text)
            }
            None if *missing > 0 => (false, "Making", format!("{missing} of {services} entries are still to be made")),
            None => (true, "Synced", format!("{services} services have their entries")),
        }
    }

    /// The status that says so. Times of conditions stay where these did not change.
    pub fn status(&self, generation: i64, before: &ImportStatus, now: Timestamp) -> ImportStatus {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (ready, reason, message) = self.words();
        let conflicting = self.conflicts > 0;
        let conflicts = match self.conflicts {
            0 => "no other entry is in the way".into(),
            count => format!("{count} services have no entry, since another one has the name or the host"),
        };
        let word = if conflicting { "Conflicts" } else { "None" };
        let condition = |kind: &str, holds: bool, reason: &str, message: String| {
            let status = if holds { "True" } else { "False" };
            let old = before.conditions.iter().find(|old| old.kind == kind && old.status == status);
            Condition {
                kind: kind.into(),
                status: status.into(),
                reason: reason.into(),
                message,
                last_transition_time: old
                    .map_or_else(|| now.strftime("%FT%TZ").to_string(), |old| old.last_transition_time.clone()),
                observed_generation: generation,
            }
        };
        ImportStatus {
            observed_generation: generation,
            conditions: vec![
                condition("Ready", ready, reason, message),
                condition("Conflicts", conflicting, word, conflicts),
            ],
            services: count(self.services),
            entries: count(self.entries),
            refused: count(self.refused.len()),
            gone: count(self.gone),
            refused_services: self.refused.iter().take(REFUSED_NAMED).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(count: usize) -> Vec<RefusedService> {
        (0..count).map(|n| RefusedService { service: format!("s{n}"), reason: "why".into() }).collect()
    }

    #[test]
    fn says_the_worst_first() {
        let report = |missing, refused_count, trouble| Report {
            services: 9,
            missing,
            refused: refused(refused_count),
            trouble,
            ..Report::default()
        };
        for (report, expected) in [
            (report(0, 0, None), (true, "Synced")),
            (report(2, 0, None), (false, "Making")),
            (report(2, 1, None), (false, "Refused")),
            (report(0, 0, Some(Trouble::Held("x".into()))), (false, "PruningHeld")),
            (report(2, 1, Some(Trouble::Registry("x".into()))), (false, "Registry")),
            (report(0, 0, Some(Trouble::Waiting)), (false, "Waiting")),
            (report(0, 0, Some(Trouble::Invalid("x".into()))), (false, "Invalid")),
        ] {
            let (ready, word, text) = report.words();
            assert_eq!((ready, word), expected, "{text}");
        }
    }

    #[test]
    fn a_status_names_a_hundred_and_keeps_times() {
        let (first, later) = ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-02T00:00:00Z".parse().unwrap());
        let report = Report { services: 200, refused: refused(150), conflicts: 150, ..Report::default() };
        let status = report.status(3, &ImportStatus::default(), first);
        assert_eq!((status.refused, status.refused_services.len()), (150, 100));
        assert!(status.conditions.iter().all(|condition| condition.observed_generation == 3));
        assert_eq!(report.status(3, &status, later), status, "nothing changed");
        let well = Report { services: 200, ..Report::default() }.status(3, &status, later);
        let times: Vec<_> = well.conditions.iter().map(|condition| condition.last_transition_time.as_str()).collect();
        assert_eq!(times, ["2026-01-02T00:00:00Z"; 2]);
    }
}
