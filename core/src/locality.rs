//! Where an endpoint runs, as Istio writes it: `region/zone/subzone`.

use crate::diagnostic::{Code, Diagnostics};
use crate::model::{Location, Subject};
use crate::quote::Tally;

/// The longest locality of an endpoint, in bytes (the CRD's limit).
pub const LONGEST: usize = 2048;

/// Region, zone and campus, of which those that cannot stand are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locality<'a>([&'a str; 3]);

impl<'a> Locality<'a> {
    pub(crate) fn of(location: &'a Location, invalid: &mut Tally<'a>) -> Self {
        let mut parts = [location.region.as_str(), &location.zone, &location.campus];
        for part in &mut parts {
            // Three parts of a third each stay below the limit together.
            if part.bytes().any(|byte| byte == b'/') || part.len() > LONGEST / 3 - 1 {
                invalid.add(part);
                *part = "";
            }
        }
        Self(parts)
    }

    /// The parts without the empty ones at the end.
    pub fn parts(&self) -> &[&'a str] {
        let used = self.0.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
        &self.0[..used]
    }

    /// The text, such as `region/zone`; empty where nothing is known.
    pub fn text(&self) -> String {
        self.parts().join("/")
    }
}

/// One diagnostic for all parts that were left out.
pub(crate) fn report(invalid: &Tally<'_>, diagnostics: &mut Diagnostics) {
    if invalid.count() > 0 {
        diagnostics.add(
            Code::LocalityInvalid,
            Subject::Service,
            format!(
                "{} parts of instance locations contain a slash or are too long, and are not passed on, among them {}",
                invalid.count(),
                invalid.examples()
            ),
            "Register region, zone and campus without slashes.",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_can_stand() {
        let long = "x".repeat(2048);
        for (parts, expected, invalid) in [
            (["r", "z", "c"], "r/z/c", 0),
            (["r", "z", ""], "r/z", 0),
            (["r", "", ""], "r", 0),
            (["", "", ""], "", 0),
            (["r", "", "c"], "r//c", 0),
            (["", "z", ""], "/z", 0),
            (["r", "a/b", "c"], "r//c", 1),
            (["r", "z", "a/b"], "r/z", 1),
            ([&long, "", ""], "", 1),
        ] {
            let [region, zone, campus] = parts.map(str::to_owned);
            let location = Location { region, zone, campus };
            let mut tally = Tally::default();
            assert_eq!(Locality::of(&location, &mut tally).text(), expected);
            assert_eq!(tally.count(), invalid);
        }
    }
}
