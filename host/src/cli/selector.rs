//! A selector of labels, as `kubectl -l` has it, but for sets.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Conditions that all must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Is(String, String),
    IsNot(String, String),
    Has(String),
    HasNot(String),
}

impl Selector {
    /// Whether labels fit. As with kubectl, what has no such label is not equal to any value.
    pub(super) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::Is(key, value) => labels.get(key) == Some(value),
            Requirement::IsNot(key, value) => labels.get(key) != Some(value),
            Requirement::Has(key) => labels.contains_key(key),
            Requirement::HasNot(key) => !labels.contains_key(key),
        })
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(requirement).collect::<Result<_, _>>().map(Self)
    }
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let named = |key: &str| {
        let key = key.trim();
        let fits = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        if fits { Ok(key.to_owned()) } else { Err(format!("`{part}`: write KEY=VALUE, KEY!=VALUE, KEY or !KEY")) }
    };
    let value = |value: &str| value.trim_start_matches('=').trim().to_owned();
    Ok(match (part.split_once("!="), part.split_once('='), part.strip_prefix('!')) {
        (Some((key, rest)), ..) => Requirement::IsNot(named(key)?, value(rest)),
        (None, Some((key, rest)), _) => Requirement::Is(named(key)?, value(rest)),
        (None, None, Some(key)) => Requirement::HasNot(named(key)?),
        (None, None, None) => Requirement::Has(named(part)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_as_kubectl_does() {
        let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned()), ("a.b/c".to_owned(), String::new())]);
        for (text, expected) in [
            ("team=shop", true),
            ("team==shop", true),
            ("team=other", false),
            ("team!=shop", false),
            ("tier!=web", true),
            ("team", true),
            ("tier", false),
            ("!tier", true),
            ("!team", false),
            ("a.b/c=", true),
            ("team=shop, !tier", true),
            ("team=shop,tier", false),
            ("", true),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().matches(&labels), expected, "{text}");
        }
        for text in ["team in (a,b)", "=x", "!", "a b"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }
}
