//! Which instance metadata become labels of an endpoint.

use crate::address::is_dns_label;
use crate::diagnostic::{Code, Diagnostics};
use crate::model::{Instance, Subject};
use crate::quote::Tally;

/// The most labels that an endpoint holds (the CRD's limit).
pub const MOST: usize = 256;
/// The longest name of a label's key, and the longest value, in bytes (Kubernetes' limit).
const LONGEST: usize = 63;
/// The longest prefix of a label's key, in bytes.
const LONGEST_PREFIX: usize = 253;
const VERSION: &str = "version";

/// What becomes of a metadata entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is a label.
    Passed,
    /// Its key means something to Istio or Kubernetes, which a registration must not say.
    Reserved,
    /// The registry's own noise (`internal-*`).
    Noise,
    /// It is no valid label.
    Invalid,
}

/// What becomes of a metadata entry, by itself.
pub fn fate(key: &str, value: &str) -> Fate {
    if key.starts_with("internal-") {
        return Fate::Noise;
    }
    // Keys are short: byte by byte is quicker than a search.
    let (prefix, name) = match key.bytes().position(|byte| byte == b'/') {
        Some(at) => (Some(&key[..at]), &key[at + 1..]),
        None => (None, key),
    };
    if key == "istio-locality" || prefix.is_some_and(is_reserved) {
        return Fate::Reserved;
    }
    let valid = prefix.is_none_or(is_prefix) && !name.is_empty() && is_name(name) && is_name(value);
    if valid { Fate::Passed } else { Fate::Invalid }
}

fn is_reserved(prefix: &str) -> bool {
    ["istio.io", "k8s.io", "kubernetes.io"].into_iter().any(|owner| prefix.ends_with(owner))
}

/// Up to 63 letters, digits, `-`, `_` and `.`, starting and ending with a letter or digit, or empty.
fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= LONGEST
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && bytes.first().is_none_or(u8::is_ascii_alphanumeric)
        && bytes.last().is_none_or(u8::is_ascii_alphanumeric)
}

fn is_prefix(prefix: &str) -> bool {
    prefix.len() <= LONGEST_PREFIX
        && prefix.split('.').all(is_dns_label)
        && !prefix.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// What was left out, over all endpoints.
#[derive(Debug, Default)]
pub(crate) struct LeftOut<'a> {
    invalid: Tally<'a>,
    reserved: Tally<'a>,
}

impl LeftOut<'_> {
    /// One diagnostic for each kind, however many there are.
    pub(crate) fn report(&self, diagnostics: &mut Diagnostics) {
        if self.invalid.count() > 0 {
            diagnostics.add(
                Code::LabelsInvalid,
                Subject::Service,
                format!(
                    "{} metadata entries are no valid labels, or more than {MOST} on one endpoint, and are not passed on, among them the keys {}",
                    self.invalid.count(),
                    self.invalid.examples()
                ),
                "Where they are to be labels, register keys and values of up to 63 letters, digits, '-', '_' and '.'.",
            );
        }
        if self.reserved.count() > 0 {
            diagnostics.add(
                Code::LabelsReserved,
                Subject::Service,
                format!(
                    "{} metadata entries have keys of Istio or Kubernetes and are not passed on, among them {}",
                    self.reserved.count(),
                    self.reserved.examples()
                ),
                "",
            );
        }
    }
}

/// Appends an instance's labels to `labels`, sorted by key, each key once.
pub(crate) fn append<'a>(instance: &'a Instance, labels: &mut Vec<(&'a str, &'a str)>, left_out: &mut LeftOut<'a>) {
    let start = labels.len();
    let mut has_version = instance.version.is_empty();
    let mut sorted = true;
    for (key, value) in &instance.metadata {
        has_version |= key == VERSION;
        sorted &= labels[start..].last().is_none_or(|(last, _)| *last < key.as_str());
        take(key, value, labels, left_out);
    }
    if !has_version {
        sorted = false;
        take(VERSION, &instance.version, labels, left_out);
    }
    if !sorted {
        labels[start..].sort_unstable();
        let mut kept = start;
        for position in start..labels.len() {
            if kept == start || labels[kept - 1].0 != labels[position].0 {
                labels[kept] = labels[position];
                kept += 1;
            }
        }
        labels.truncate(kept);
    }
    for (key, _) in labels.drain((start + MOST).min(labels.len())..) {
        left_out.invalid.add(key);
    }
}

fn take<'a>(key: &'a str, value: &'a str, labels: &mut Vec<(&'a str, &'a str)>, left_out: &mut LeftOut<'a>) {
    match fate(key, value) {
        Fate::Passed => labels.push((key, value)),
        Fate::Invalid => left_out.invalid.add(key),
        Fate::Reserved => left_out.reserved.add(key),
        Fate::Noise => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fates() {
        let (long, longest) = ("x".repeat(64), "x".repeat(63));
        for (key, value, expected) in [
            ("env", "prod", Fate::Passed),
            ("env", "", Fate::Passed),
            ("a.b_c-d", "V1.0_x-y", Fate::Passed),
            ("acme.io/team", "a", Fate::Passed),
            (&longest, &longest, Fate::Passed),
            ("internal-enable-healthcheck", "a b", Fate::Noise),
            ("istio-locality", "a", Fate::Reserved),
            ("istio.io/rev", "a", Fate::Reserved),
            ("security.istio.io/tlsMode", "disabled", Fate::Reserved),
            ("topology.kubernetes.io/zone", "a", Fate::Reserved),
            ("app.k8s.io/name", "a", Fate::Reserved),
            ("env", "a b", Fate::Invalid),
            ("env", "-a", Fate::Invalid),
            ("env", "a.", Fate::Invalid),
            ("env", "ä", Fate::Invalid),
            ("", "a", Fate::Invalid),
            ("_env", "a", Fate::Invalid),
            ("acme.io/", "a", Fate::Invalid),
            ("/a", "a", Fate::Invalid),
            ("a_b.io/a", "a", Fate::Invalid),
            ("Acme.io/a", "a", Fate::Invalid),
            ("a/b/c", "a", Fate::Invalid),
            (&long, "a", Fate::Invalid),
            ("env", &long, Fate::Invalid),
        ] {
            assert_eq!(fate(key, value), expected, "{key}={value}");
        }
    }

    fn instance(metadata: &[(&str, &str)], version: &str) -> Instance {
        let mut instance = crate::ports::tests::instance("http", 80);
        instance.metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        instance.version = version.to_owned();
        instance
    }

    #[track_caller]
    fn check(metadata: &[(&str, &str)], version: &str, expected: &[(&str, &str)]) {
        let instance = instance(metadata, version);
        // What another instance appended before stays as it is.
        let mut labels = vec![("z", "before")];
        append(&instance, &mut labels, &mut LeftOut::default());
        assert_eq!((labels[0], &labels[1..]), (("z", "before"), expected));
    }

    #[test]
    fn appends_by_key_and_each_key_once() {
        check(&[], "", &[]);
        check(&[], "v1", &[("version", "v1")]);
        check(&[("version", "v2")], "v1", &[("version", "v2")]);
        check(&[("version", "v 2")], "v1", &[]);
        check(&[("a", "1"), ("x", "2")], "v1", &[("a", "1"), ("version", "v1"), ("x", "2")]);
        check(&[("b", "1"), ("a", "2")], "", &[("a", "2"), ("b", "1")]);
        check(&[("a", "2"), ("a", "1")], "", &[("a", "1")]);
        check(&[("a", "1"), ("a", "2"), ("b", "3"), ("b", "3")], "", &[("a", "1"), ("b", "3")]);
    }

    #[test]
    fn at_most_so_many() {
        let keys: Vec<String> = (0..MOST + 2).map(|number| format!("k{number:03}")).collect();
        for (count, kept, left) in [(MOST, MOST, 0), (MOST + 1, MOST, 1), (MOST + 2, MOST, 2)] {
            let metadata: Vec<(&str, &str)> = keys[..count].iter().map(|key| (key.as_str(), "v")).collect();
            let instance = instance(&metadata, "");
            let (mut labels, mut left_out) = (vec![("z", "before")], LeftOut::default());
            append(&instance, &mut labels, &mut left_out);
            assert_eq!((labels.len() - 1, left_out.invalid.count()), (kept, left));
        }
    }

    #[test]
    fn what_is_left_out_is_told_by_kind() {
        for (metadata, expected) in [
            (&[("a", "1"), ("internal-a", "b c")][..], &[][..]),
            (&[("a b", "1")], &["labels-invalid"]),
            (&[("istio.io/rev", "1")], &["labels-reserved"]),
            (&[("a b", "1"), ("istio.io/rev", "1")], &["labels-invalid", "labels-reserved"]),
        ] {
            let instance = instance(metadata, "");
            let (mut left_out, mut diagnostics) = (LeftOut::default(), Diagnostics::default());
            append(&instance, &mut Vec::new(), &mut left_out);
            left_out.report(&mut diagnostics);
            let codes: Vec<_> = diagnostics.0.iter().map(|found| found.code.as_str()).collect();
            assert_eq!(codes, expected);
        }
    }

    #[test]
    fn longest_prefix() {
        let prefix = |length: usize| format!("{}a/n", "a.".repeat(length / 2));
        assert_eq!(fate(&prefix(253), "v"), Fate::Passed);
        assert_eq!(fate(&prefix(255), "v"), Fate::Invalid);
        assert_eq!(fate("acmeistio.io/a", "v"), Fate::Reserved);
    }
}
