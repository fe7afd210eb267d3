//! ServiceEntries in YAML text: what an operator keeps in git.
//!
//! The text's whole content is kept beside what is read of it, so that fields which this controller does not know go
//! through to the output.

use std::collections::BTreeSet;

use serde_json::Value;

use super::merge::merge;
use crate::annotation::DERIVED_PORTS;
use crate::istio::{Claim, GROUP, KIND, Ownership, Ports, ServiceEntry, VERSIONS};
use crate::plan::Apply;
use crate::text::{self, NotText};

/// The claim under which a file's own fields stand, in place of a field manager.
const OPERATOR: &str = "the entry's file";
/// A list of entries as the API server writes it.
const LIST_KIND: &str = "ServiceEntryList";
/// The kind of policies.
pub const POLICY_KIND: &str = "PolarisImport";
/// What a file may hold, in bytes of YAML.
const LARGEST: usize = 4 << 20;

/// One ServiceEntry in a file.
#[derive(Clone, Debug)]
pub struct Document {
    pub value: Value,
    /// As read. What the text declares counts as declared by someone else than this controller, unless the text has
    /// `managedFields` (`kubectl get --show-managed-fields -o yaml`) that say better.
    pub entry: ServiceEntry,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is not UTF-8.
    #[error("{origin}: {problem}")]
    NotText {
        /// Where the text is.
        origin: String,
        problem: NotText,
    },
    /// It is too large to be an entry.
    #[error("{origin}: {size} bytes; a file of ServiceEntries may have {LARGEST}")]
    TooLarge {
        /// Where the text is.
        origin: String,
        /// Bytes that it has.
        size: usize,
    },
    /// It is not YAML.
    #[error("{origin}: not valid YAML: {detail}")]
    NotYaml {
        /// Where the text is.
        origin: String,
        /// What is wrong, with line and column.
        detail: String,
    },
    /// A document is something else than a ServiceEntry, or lacks what every entry has.
    #[error("{origin}: {place}: {field}: {detail}")]
    Unfit {
        /// Where the text is.
        origin: String,
        /// Which document, and which item of a list.
        place: String,
        /// Path of the field.
        field: String,
        /// What is wrong, and what to write.
        detail: String,
    },
}

/// All that a text holds. One document that cannot be used does not keep the others out.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Its ServiceEntries.
    pub entries: Vec<Document>,
    /// What was meant to be one and cannot be used.
    pub errors: Vec<DocumentError>,
    /// Its policies, for whoever carries them out.
    pub policies: Vec<Value>,
    /// The kinds of its other objects, each as often as it is there; files in git often mix them.
    pub others: Vec<String>,
}

impl Contents {
    /// Reads a text; `origin` is what errors call it.
    pub fn read(text: &[u8], origin: &str) -> Self {
        let mut contents = Self::default();
        let origin = origin.to_owned();
        if text.len() > LARGEST {
            contents.errors.push(DocumentError::TooLarge { origin, size: text.len() });
            return contents;
        }
        let text = match text::read(text) {
            Ok(text) => text,
            Err(problem) => {
                contents.errors.push(DocumentError::NotText { origin, problem });
                return contents;
            }
        };
        let values = match serde_saphyr::from_multiple(text) {
            Ok(values) => values,
            // Files that were put one after another keep the mark that each began with.
            Err(_) => contents.each_by_itself(&text.replace("\n\u{feff}", "\n"), &origin),
        };
        for (number, value) in (1..).zip(values) {
            contents.take(value, &origin, &format!("document {number}"));
        }
        contents
    }

    /// Whether there is nothing in it that this program is for.
    pub(super) fn is_nothing(&self) -> bool {
        self.entries.is_empty() && self.errors.is_empty() && self.policies.is_empty()
    }

    /// Parses a text document by document, as the whole cannot be parsed. In YAML a line that begins with `---` begins a
    /// document, whatever stands before it.
    fn each_by_itself(&mut self, text: &str, origin: &str) -> Vec<Value> {
        let mut values = Vec::new();
        for (lines_before, part) in parts(text) {
            match serde_saphyr::from_multiple::<Value>(part) {
                Ok(found) => values.extend(found),
                Err(error) => {
                    let detail = text::yaml_problem(&error, lines_before);
                    self.errors.push(DocumentError::NotYaml { origin: origin.into(), detail });
                }
            }
        }
        values
    }

    /// Takes an object in, or those of a list as `kubectl get -o yaml` and the API server write it.
    fn take(&mut self, mut value: Value, origin: &str, place: &str) {
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind.as_str() {
            KIND => match Document::read(value, origin, place) {
                Ok(document) => self.entries.push(document),
                Err(error) => self.errors.push(error),
            },
            "List" | LIST_KIND => {
                let version = value.get("apiVersion").cloned();
                let items = match value.get_mut("items").map(Value::take) {
                    Some(Value::Array(items)) => items,
                    Some(Value::Null) => return,
                    _ => return self.others.push(format!("kind {kind} without items")),
                };
                for (number, mut item) in (1..).zip(items) {
                    // The API server leaves out what the list says already.
                    if let (LIST_KIND, Some(item)) = (kind.as_str(), item.as_object_mut()) {
                        item.entry("kind").or_insert_with(|| KIND.into());
                        item.entry("apiVersion").or_insert_with(|| version.clone().unwrap_or_default());
                    }
                    self.take(item, origin, &format!("{place}, item {number}"));
                }
            }
            POLICY_KIND => self.policies.push(value),
            "" => self.others.push("no kind".into()),
            other => self.others.push(format!("kind {}", other.escape_debug())),
        }
    }
}

/// The documents of a text, each with the number of lines before it.
fn parts(text: &str) -> Vec<(u64, &str)> {
    let mut parts = Vec::new();
    let (mut begin, mut begin_line, mut at) = (0, 0, 0);
    for (number, line) in (0..).zip(text.split_inclusive('\n')) {
        let marker =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marker && at > begin {
            parts.push((begin_line, &text[begin..at]));
            (begin, begin_line) = (at, number);
        }
        at += line.len();
    }
    parts.push((begin_line, &text[begin..]));
    parts
}

impl Document {
    /// Reads all ServiceEntries of a text; other kinds of objects are passed over.
    ///
    /// # Errors
    ///
    /// One of them cannot be used.
    pub fn parse_all(text: &[u8], origin: &str) -> Result<Vec<Self>, DocumentError> {
        let contents = Contents::read(text, origin);
        match contents.errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(contents.entries),
        }
    }

    /// The document as an apply makes it in a cluster.
    pub fn with(&self, apply: &Apply) -> Value {
        let mut before = self.value.clone();
        // Ports that this controller alone declared earlier are in the apply again, or are given up.
        if let Some(ports) = before.pointer_mut("/spec/ports").and_then(Value::as_array_mut) {
            let ownership = &self.entry.ownership;
            ports.retain(|port| {
                let name = port.get("name").and_then(Value::as_str).unwrap_or_default();
                !ownership.ours_as_port(name) || ownership.others_of_port(name).next().is_some()
            });
        }
        let mut object = merge(&before, &apply.body());
        // A cluster has managed fields for that.
        if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
            annotations.remove(DERIVED_PORTS);
        }
        object
    }

    pub(super) fn read(value: Value, origin: &str, place: &str) -> Result<Self, DocumentError> {
        let unfit = |field: &str, detail: String| DocumentError::Unfit {
            origin: origin.into(),
            place: place.into(),
            field: field.into(),
            detail,
        };
        let version = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        if !VERSIONS.iter().any(|known| version == format!("{GROUP}/{known}")) {
            return Err(unfit(
                "apiVersion",
                format!("`{version}` is none of {GROUP}/v1, v1beta1 and v1alpha3; write {GROUP}/v1"),
            ));
        }
        let mut entry: ServiceEntry = decode(&value).map_err(|(path, detail)| unfit(&path, detail))?;
        check_names(&entry).map_err(|(field, detail)| unfit(field, detail))?;
        entry.metadata.namespace.get_or_insert_with(|| "default".into());
        entry.condense();
        if entry.ownership == Ownership::default() {
            entry.ownership = Ownership::new(vec![declared(&value)]);
        }
        Ok(Self { value, entry })
    }
}

/// The rules of Kubernetes on names: without them a file's text would choose where its output goes.
fn check_names(entry: &ServiceEntry) -> Result<(), (&'static str, String)> {
    let metadata = &entry.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    if name.is_empty() {
        return Err(("metadata.name", "missing; every entry needs a name".into()));
    }
    if name.len() > 253 || !name.split('.').all(is_label) {
        let detail =
            "is no name that Kubernetes takes; write at most 253 letters in lower case, digits, hyphens and dots";
        return Err(("metadata.name", format!("{} {detail}", shown(name))));
    }
    match metadata.namespace.as_deref() {
        Some(namespace) if namespace.len() > 63 || !is_label(namespace) => {
            let detail =
                "is no namespace that Kubernetes takes; write at most 63 letters in lower case, digits and hyphens";
            Err(("metadata.namespace", format!("{} {detail}", shown(namespace))))
        }
        _ => Ok(()),
    }
}

fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    label.bytes().all(|byte| fits(byte) || byte == b'-')
        && label.bytes().next().is_some_and(fits)
        && label.bytes().last().is_some_and(fits)
}

/// A value in quotes, cut where it is long.
fn shown(value: &str) -> String {
    let begin: String = value.chars().take(48).flat_map(char::escape_debug).collect();
    if value.chars().nth(48).is_some() { format!("`{begin}...`") } else { format!("`{begin}`") }
}

/// Decodes, and tells where in the value it failed.
fn decode(value: &Value) -> Result<ServiceEntry, (String, String)> {
    serde_path_to_error::deserialize(value).map_err(|error| (error.path().to_string(), error.into_inner().to_string()))
}

/// All that a text says, as one claim of its operator.
pub(super) fn declared(value: &Value) -> Claim {
    let keys = |pointer: &str| -> BTreeSet<String> {
        value.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned()).collect()
    };
    let ports = value.pointer("/spec/ports").and_then(Value::as_array);
    let names = ports.into_iter().flatten().filter_map(|port| port.get("name")?.as_str().map(str::to_owned)).collect();
    Claim {
        manager: OPERATOR.into(),
        ours: false,
        ports: Ports::Named(names),
        spec: keys("/spec").into_iter().filter(|field| field != "ports").collect(),
        annotations: keys("/metadata/annotations"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: NAME\nspec: {hosts: [h]}\n";

    /// Reads a text; gives the names of its entries, its errors and how much else it holds.
    #[track_caller]
    fn check(text: impl AsRef<[u8]>, names: &[&str], errors: &[&str], others: &[&str]) {
        let found = Contents::read(text.as_ref(), "f");
        let all: Vec<_> = found.entries.iter().map(|one| one.entry.metadata.name.as_deref().unwrap()).collect();
        assert_eq!(
            (all.as_slice(), found.others.iter().map(String::as_str).collect::<Vec<_>>().as_slice()),
            (names, others)
        );
        assert_eq!(found.errors.len(), errors.len(), "{:?}", found.errors);
        for (error, expected) in found.errors.iter().zip(errors) {
            assert!(error.to_string().contains(expected), "{error} says {expected}");
        }
    }

    fn good(name: &str) -> String {
        GOOD.replace("NAME", name)
    }

    fn indented(text: &str) -> String {
        format!("- {}", text.trim_end().replace('\n', "\n  "))
    }

    #[test]
    fn lists_are_read() {
        let map = "apiVersion: v1\nkind: ConfigMap\n";
        let (a, b) = (indented(&good("a")), indented(&good("b")));
        check(
            format!("apiVersion: v1\nkind: List\nitems:\n{a}\n{}\n{b}\n", indented(map)),
            &["a", "b"],
            &[],
            &["kind ConfigMap"],
        );
        check(
            format!("apiVersion: networking.istio.io/v1\nkind: ServiceEntryList\nitems:\n{a}\n{b}\n"),
            &["a", "b"],
            &[],
            &[],
        );
        let bare = r#"{"apiVersion":"networking.istio.io/v1","kind":"ServiceEntryList","items":[{"metadata":{"name":"a"},"spec":{}}]}"#;
        check(bare, &["a"], &[], &[]);
        check("kind: List\nitems: null\n", &[], &[], &[]);
        check("kind: List\nitems: {a: 1}\n", &[], &[], &["kind List without items"]);
        check("kind: List\nitem: []\n", &[], &[], &["kind List without items"]);
        let bad = indented(&good("A"));
        check(
            format!("kind: List\nitems:\n{a}\n{bad}\n"),
            &["a"],
            &["document 1, item 2: metadata.name: `A` is no name"],
            &[],
        );
    }

    #[test]
    fn one_bad_document_keeps_no_good_one_out() {
        let (a, b) = (good("a"), good("b"));
        check(format!("{a}---\nkind: [\n---\n{b}"), &["a", "b"], &["not valid YAML: line "], &[]);
        check(
            format!("{a}---\n{}---\n{b}", good("b").replace("kind: S", "kind: S\nkind: S")),
            &["a", "b"],
            &["line 9, column 1: the key `kind`"],
            &[],
        );
        check(
            format!("{a}---\n{}---\n{b}", good("c").replace("/v1", "/v9")),
            &["a", "b"],
            &["document 2: apiVersion: `networking"],
            &[],
        );
        check(format!("---\n---\n{a}---\n# nothing\n---\n{b}"), &["a", "b"], &[], &[]);
        check(format!("\u{feff}{}", a.replace('\n', "\r\n")), &["a"], &[], &[]);
        // As files are that were put one after another, before the line of the second document and after it.
        check(format!("{a}---\n\u{feff}{b}"), &["a", "b"], &[], &[]);
        check(format!("{a}\u{feff}---\n{b}"), &["a", "b"], &[], &[]);
        check("a: 1\n", &[], &[], &["no kind"]);
        check(b"\xff\xfea\0", &[], &["UTF-16; save it as UTF-8"], &[]);
    }

    #[test]
    fn a_name_chooses_no_place() {
        for name in ["../x", "a/b", "..", ".", "A", "a_b", "-a", "a..b", "'a b'"] {
            check(good(name), &[], &["is no name that Kubernetes takes"], &[]);
        }
        check(good(&"x".repeat(254)), &[], &["...` is no name"], &[]);
        check(good(&"x".repeat(253)), &[&*"x".repeat(253)], &[], &[]);
        for namespace in ["../x", "a.b", "A", "''"] {
            check(good(&format!("a\n  namespace: {namespace}")), &[], &["metadata.namespace: "], &[]);
        }
    }
}
