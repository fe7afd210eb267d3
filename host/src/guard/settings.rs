//! The times and limits of the guard: by flags for all entries, by annotations for one.

use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::annotation::{EMPTY_HOLD, MODULE_REMOVAL_LIMIT, REMOVAL_HOLD};
use crate::istio::ServiceEntry;
use crate::percent::Percent;

/// The time for which endpoints are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldTime {
    /// They are released after this time; zero holds nothing.
    For(Duration),
    /// They stay until they are listed again or released.
    Never,
}

/// The settings of the guard for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `--empty-hold`: for a service that lists no instance any more.
    pub empty_hold: HoldTime,
    /// `--removal-hold`: for more than half of a service's instances that vanish at once.
    pub removal_hold: HoldTime,
    /// `--fleet-limit`: the share of services that may lose half within a minute before all is held.
    pub fleet_limit: Percent,
    /// `--loss-window`: losses are measured against the most that there was within so long.
    pub loss_window: Duration,
    /// `--module-removal-limit`: the share of an entry's endpoints that a module may drop while the registry lists them as fit.
    pub module_removal_limit: Percent,
}

impl Default for Settings {
    /// The flags' defaults.
    fn default() -> Self {
        Self {
            empty_hold: HoldTime::For(Duration::from_secs(300)),
            removal_hold: HoldTime::For(Duration::from_secs(10)),
            fleet_limit: Percent::new(20),
            loss_window: Duration::from_secs(600),
            module_removal_limit: Percent::new(10),
        }
    }
}

impl Settings {
    /// These settings, overridden by an entry's annotations; with a line for each annotation that cannot be read.
    pub fn of_entry(mut self, entry: &ServiceEntry) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        read(entry, EMPTY_HOLD, "--empty-hold", &mut self.empty_hold, &mut problems);
        read(entry, REMOVAL_HOLD, "--removal-hold", &mut self.removal_hold, &mut problems);
        read(entry, MODULE_REMOVAL_LIMIT, "--module-removal-limit", &mut self.module_removal_limit, &mut problems);
        (self, problems)
    }
}

impl Settings {
    /// How long a loss is held that stands so far between half (0) and all (1): `removal_hold` at the one end, `empty_hold` at
    /// the other, and each step between multiplies it. Where there is nothing to multiply, the nearer end counts.
    pub(super) fn hold_of(&self, beyond_half: f64) -> HoldTime {
        match (self.removal_hold, self.empty_hold) {
            (_, empty) if beyond_half >= 1.0 => empty,
            (HoldTime::For(removal), HoldTime::For(empty)) if !removal.is_zero() && empty > removal => {
                let ratio = empty.as_secs_f64() / removal.as_secs_f64();
                HoldTime::For(removal.mul_f64(ratio.powf(beyond_half)))
            }
            (removal, _) => removal,
        }
    }
}

fn read<T: FromStr<Err = String>>(
    entry: &ServiceEntry,
    key: &str,
    flag: &str,
    value: &mut T,
    problems: &mut Vec<String>,
) {
    match entry.annotation(key).map(str::parse) {
        Some(Ok(found)) => *value = found,
        Some(Err(error)) => {
            let text = entry.annotation(key).unwrap_or_default();
            problems.push(format!("annotation {key}: `{text}`: {error}; {flag} counts instead"));
        }
        None => {}
    }
}

impl HoldTime {
    /// The end of a hold that began at `since`; `None` if time does not end it.
    pub(super) fn end(self, since: Instant) -> Option<Instant> {
        match self {
            Self::For(time) => since.checked_add(time),
            Self::Never => None,
        }
    }
}

/// `never`, or a duration such as `5m` or `0s`.
impl FromStr for HoldTime {
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

    fn of(annotations: serde_json::Value) -> (Settings, Vec<String>) {
        let entry = serde_json::from_value(json!({"metadata": {"annotations": annotations}})).unwrap();
        Settings::default().of_entry(&entry)
    }

    #[test]
    fn annotations_override_flags() {
        assert_eq!(of(json!({})), (Settings::default(), vec![]));
        let found = of(json!({EMPTY_HOLD: "never", REMOVAL_HOLD: "1m", MODULE_REMOVAL_LIMIT: "50%"}));
        let wanted = Settings {
            empty_hold: HoldTime::Never,
            removal_hold: HoldTime::For(Duration::from_secs(60)),
            module_removal_limit: Percent::new(50),
            ..Settings::default()
        };
        assert_eq!(found, (wanted, vec![]));
    }

    #[test]
    fn the_more_is_gone_the_longer_it_is_held() {
        let settings = Settings::default();
        let seconds = |beyond: f64| match settings.hold_of(beyond) {
            HoldTime::For(time) => time.as_secs(),
            HoldTime::Never => u64::MAX,
        };
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(seconds), [10, 23, 54, 128, 300]);
        let of = |removal, empty| Settings { removal_hold: removal, empty_hold: empty, ..settings };
        let (none, some, never) =
            (HoldTime::For(Duration::ZERO), HoldTime::For(Duration::from_secs(60)), HoldTime::Never);
        for (removal, empty, between, all) in
            [(none, some, none, some), (some, none, some, none), (some, never, some, never), (never, some, never, some)]
        {
            let settings = of(removal, empty);
            assert_eq!((settings.hold_of(0.5), settings.hold_of(1.0)), (between, all));
        }
    }

    #[test]
    fn what_cannot_be_read_changes_nothing_and_is_named() {
        for (key, text, remedy) in [
            (EMPTY_HOLD, "soon", "write `5m`"),
            (REMOVAL_HOLD, "-1s", "write `5m`"),
            (MODULE_REMOVAL_LIMIT, "101%", "write `0%` to `100%`"),
            (MODULE_REMOVAL_LIMIT, "many", "write `0%` to `100%`"),
        ] {
            let (settings, problems) = of(json!({ key: text }));
            assert_eq!(settings, Settings::default());
            assert!(problems[0].contains(key) && problems[0].contains(text) && problems[0].contains(remedy));
        }
    }
}
