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
