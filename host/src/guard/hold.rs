//! Holds back endpoints that would disappear because the registry lists nothing, or because the entry was pointed at
//! another service.
//!
//! A registry that restarts can answer "no such service" for everything before it has read its store. What someone did
//! on purpose (isolate, weight 0) keeps its instances listed, and is not held.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::istio::{Endpoint, ServiceEntry};
use crate::plan::{Desired, SOURCE};

/// How long the endpoints of a service that lists nothing any more are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyHold {
    /// Then they are cleared; zero clears at once.
    For(Duration),
    /// They stay until the service lists instances again.
    Never,
}

/// Why endpoints are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The registry answers that there is no such service.
    Missing,
    /// The service lists no instance.
    Empty,
    /// The entry names another service now, which has no endpoints yet.
    Rebound {
        /// The service that the endpoints come from, as `namespace/name`.
        from: String,
    },
}

/// Endpoints that are kept although the module's answer has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// Why.
    pub reason: Reason,
    /// When it began.
    pub since: Instant,
    /// When they are let go; none means not by time.
    pub until: Option<Instant>,
    endpoints: Arc<[Endpoint]>,
}

/// What the registry lists for the entry's service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// There is no such service.
    Missing,
    /// This many instances, fit or not.
    Instances(usize),
}

/// The guard of one entry: what it holds, and what it would hold.
#[derive(Debug, Default)]
pub struct Guard {
    hold: Option<Hold>,
    /// What was last written on purpose; a hold brings it back if someone clears it meanwhile.
    written: Option<Arc<[Endpoint]>>,
}

impl Guard {
    /// Changes `desired` so that nothing disappears that is to be held. Returns the hold in force.
    pub fn decide(
        &mut self,
        desired: &mut Desired,
        listed: Listed,
        live: &ServiceEntry,
        limit: EmptyHold,
        now: Instant,
    ) -> Option<&Hold> {
        let from =
            live.annotation(SOURCE).filter(|from| Some(*from) != desired.annotations.get(SOURCE).map(String::as_str));
        let reason = match (from, listed) {
            (Some(from), _) if desired.endpoints.is_empty() => Reason::Rebound { from: from.into() },
            (None, Listed::Missing) => Reason::Missing,
            (None, Listed::Instances(0)) => Reason::Empty,
            _ => return self.pass(desired),
        };
        if self.hold.as_ref().is_none_or(|hold| hold.reason != reason) {
            let earlier = self.hold.take();
            // A registry that flaps between "empty" and "no such service" must not hold for ever.
            let since = earlier.as_ref().filter(|hold| !hold.reason.is_rebound() && !reason.is_rebound());
            let since = since.map_or(now, |hold| hold.since);
            let endpoints = earlier
                .map(|hold| hold.endpoints)
                .or_else(|| self.written.clone())
                .unwrap_or_else(|| live.spec.endpoints.clone().into());
            self.hold = Some(Hold { reason, since, until: None, endpoints });
        }
        let Some(hold) = self.hold.as_mut().filter(|hold| !hold.endpoints.is_empty()) else {
            return self.pass(desired);
        };
        hold.until = match (&hold.reason, limit) {
            (Reason::Rebound { .. }, _) | (_, EmptyHold::Never) => None,
            (_, EmptyHold::For(time)) => hold.since.checked_add(time),
        };
        if hold.until.is_some_and(|until| until <= now) {
            return self.pass(desired);
        }
        desired.endpoints.clone_from(&hold.endpoints);
        if let Reason::Rebound { from } = &hold.reason {
            desired.annotations.insert(SOURCE.into(), from.clone());
        }
        self.hold.as_ref()
    }

    /// What is held, or was until it ended.
    pub fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    fn pass(&mut self, desired: &Desired) -> Option<&Hold> {
        // An ended hold is kept while the service stays empty, so that it does not begin anew.
        if !desired.endpoints.is_empty() {
            self.hold = None;
        }
        self.written = Some(desired.endpoints.clone());
        None
    }
}

impl Reason {
    /// One word, as metrics and the status have it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Missing | Self::Empty => "empty",
            Self::Rebound { .. } => "rebound",
        }
    }

    fn is_rebound(&self) -> bool {
        matches!(self, Self::Rebound { .. })
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("the registry has no such service any more"),
            Self::Empty => f.write_str("the service lists no instance any more"),
            Self::Rebound { from } => write!(f, "the service named now has no endpoints yet; those of {from} stay"),
        }
    }
}

/// `never`, or a duration such as `5m` or `0s`.
impl std::str::FromStr for EmptyHold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        humantime::parse_duration(text).map(Self::For).map_err(|error| format!("{error}; write `5m`, `0s` or `never`"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn entry(endpoints: &[&str], source: Option<&str>) -> ServiceEntry {
        let endpoints: Vec<_> = endpoints.iter().map(|address| json!({"address": address})).collect();
        let annotations = source.map(|source| json!({SOURCE: source})).unwrap_or_default();
        serde_json::from_value(json!({"metadata": {"annotations": annotations}, "spec": {"endpoints": endpoints}}))
            .unwrap()
    }

    fn desired(endpoints: &[&str]) -> Desired {
        Desired {
            resolution: None,
            location: None,
            ports: vec![],
            endpoints: entry(endpoints, None).spec.endpoints.into(),
            annotations: [(SOURCE.to_owned(), "ns/now".to_owned())].into(),
            revision: "r".into(),
        }
    }

    /// A step: after how long, what is listed, what the module gives, and what the entry shall have then.
    type Step = (Duration, Listed, &'static [&'static str], &'static [&'static str]);

    #[track_caller]
    fn check(limit: EmptyHold, live: &ServiceEntry, steps: &[Step]) {
        let (mut guard, start) = (Guard::default(), Instant::now());
        for (number, (after, listed, given, held)) in steps.iter().enumerate() {
            let mut wanted = desired(given);
            guard.decide(&mut wanted, *listed, live, limit, start + *after);
            let found: Vec<_> = wanted.endpoints.iter().map(|endpoint| endpoint.address.as_str()).collect();
            assert_eq!(found, *held, "step {number}");
        }
    }

    #[test]
    fn holds_what_an_empty_answer_would_clear() {
        let hold = EmptyHold::For(5 * MINUTE);
        let live = entry(&["a"], Some("ns/now"));
        let empty = Listed::Instances(0);
        check(
            hold,
            &live,
            &[
                (MINUTE, empty, &[], &["a"]),
                (5 * MINUTE, Listed::Missing, &[], &["a"]),
                (6 * MINUTE, empty, &[], &[]),
                (7 * MINUTE, empty, &[], &[]),
                (8 * MINUTE, Listed::Instances(1), &["b"], &["b"]),
                (9 * MINUTE, empty, &[], &["b"]),
            ],
        );
        check(EmptyHold::Never, &live, &[(MINUTE, empty, &[], &["a"]), (9999 * MINUTE, empty, &[], &["a"])]);
        check(EmptyHold::For(Duration::ZERO), &live, &[(MINUTE, empty, &[], &[])]);
        check(hold, &live, &[(MINUTE, Listed::Instances(2), &[], &[])]);
        check(hold, &entry(&[], Some("ns/now")), &[(MINUTE, empty, &[], &[])]);
    }

    #[test]
    fn holds_the_old_service_until_the_new_one_has_endpoints() {
        let live = entry(&["a"], Some("ns/before"));
        let steps: &[Step] = &[
            (MINUTE, Listed::Missing, &[], &["a"]),
            (999 * MINUTE, Listed::Instances(3), &[], &["a"]),
            (1000 * MINUTE, Listed::Instances(1), &["b"], &["b"]),
        ];
        check(EmptyHold::For(Duration::ZERO), &live, steps);
    }
}
