//! Foreign values inside messages: quoted, and cut where they are long, because anyone who may register an instance chooses
//! them, and messages end in logs and Events.

/// How many characters of a value a message shows.
const SHOWN: usize = 48;

/// The value in double quotes, control characters escaped, cut after 48 characters.
pub(crate) fn quote(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len().min(4 * SHOWN) + 2);
    quoted.push('"');
    for (shown, character) in value.chars().enumerate() {
        if shown == SHOWN {
            quoted.push('…');
            break;
        }
        quoted.extend(character.escape_debug());
    }
    quoted.push('"');
    quoted
}

/// How often something happened, with its three smallest examples, so that neither repetition nor order tells.
#[derive(Debug, Default)]
pub(crate) struct Tally<'a> {
    count: usize,
    examples: Vec<&'a str>,
}

impl<'a> Tally<'a> {
    /// How many examples a message gives.
    pub(crate) const EXAMPLES: usize = 3;

    pub(crate) fn add(&mut self, example: &'a str) {
        self.count += 1;
        if let Err(place) = self.examples.binary_search(&example)
            && place < Self::EXAMPLES
        {
            self.examples.insert(place, example);
            self.examples.truncate(Self::EXAMPLES);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The examples, quoted and joined: `"a", "b"`.
    pub(crate) fn examples(&self) -> String {
        let quoted: Vec<String> = self.examples.iter().map(|example| quote(example)).collect();
        quoted.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_cuts() {
        let long = "x".repeat(100);
        for (value, expected) in [
            ("", "\"\"".to_owned()),
            ("a b", "\"a b\"".to_owned()),
            ("a\n\"b", "\"a\\n\\\"b\"".to_owned()),
            (&long, format!("\"{}…\"", "x".repeat(48))),
        ] {
            assert_eq!(quote(value), expected);
        }
    }

    #[test]
    fn tally_does_not_depend_on_order() {
        for order in [["d", "b", "a", "c", "a"], ["a", "a", "b", "c", "d"]] {
            let mut tally = Tally::default();
            order.iter().for_each(|example| tally.add(example));
            assert_eq!((tally.count(), tally.examples().as_str()), (5, "\"a\", \"b\", \"c\""));
        }
    }
}
