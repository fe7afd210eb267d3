//! A share in percent, as flags and annotations have it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A share of 0 to 100 percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(u8);

impl Percent {
    /// So many percent; 100 if it is more.
    pub const fn new(percent: u8) -> Self {
        if percent > 100 { Self(100) } else { Self(percent) }
    }

    /// Whether `part` is more than this share of `whole`.
    pub fn is_passed(self, part: usize, whole: usize) -> bool {
        part.saturating_mul(100) > whole.saturating_mul(self.0.into())
    }

    /// Whether this share includes a place between 0 and 1.
    pub fn includes(self, place: f64) -> bool {
        place * 100.0 < f64::from(self.0)
    }
}

/// `20%` or `20`.
impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).parse().ok().filter(|number| *number <= 100);
        number.map(Self).ok_or_else(|| "not a share; write `0%` to `100%`".into())
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_shares() {
        for (text, expected) in [("10%", Some(10)), ("0", Some(0)), ("100%", Some(100))] {
            assert_eq!(text.parse().ok(), expected.map(Percent::new), "{text}");
        }
        for text in ["101%", "x", "", "%", "-1%", "10 %", "10%%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    #[test]
    fn is_passed_by_more_than_the_share() {
        let tenth = Percent::new(10);
        assert!(!tenth.is_passed(1, 10) && tenth.is_passed(2, 19) && !tenth.is_passed(0, 0) && tenth.is_passed(1, 0));
    }
}
