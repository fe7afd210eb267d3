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

/// The claim under which a file's own fields stand, in place of a field manager.
const OPERATOR: &str = "the entry's file";
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
    #[error("{origin}: not UTF-8 text (byte {position}); save it as UTF-8")]
    NotText {
        /// Where the text is.
        origin: String,
        position: usize,
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
    #[error("{origin}: not valid YAML: {detail}; the last good content of this file stays in force")]
    NotYaml {
        /// Where the text is.
        origin: String,
        /// What the parser said, with line and column.
        detail: String,
    },
    /// A document is something else than a ServiceEntry, or lacks what every entry has.
    #[error("{origin}: document {number}: {field}: {detail}")]
    Unfit {
        /// Where the text is.
        origin: String,
        /// Which document, from 1.
        number: usize,
        /// Path of the field.
        field: String,
        /// What is wrong, and what to write.
        detail: String,
    },
}

impl Document {
    /// Reads all ServiceEntries of a text; other kinds of objects are passed over, since files in git often mix them.
    pub fn parse_all(text: &[u8], origin: &str) -> Result<Vec<Self>, DocumentError> {
        let origin = origin.to_owned();
        if text.len() > LARGEST {
            return Err(DocumentError::TooLarge { origin, size: text.len() });
        }
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => return Err(DocumentError::NotText { origin, position: error.valid_up_to() }),
        };
        let values: Vec<Value> = match serde_saphyr::from_multiple(text) {
            Ok(values) => values,
            Err(error) => return Err(DocumentError::NotYaml { origin, detail: error.to_string() }),
        };
        let numbered = (1..).zip(values);
        let entries = numbered.filter(|(_, value)| value.get("kind").and_then(Value::as_str) == Some(KIND));
        entries.map(|(number, value)| Self::read(value, &origin, number)).collect()
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

    fn read(value: Value, origin: &str, number: usize) -> Result<Self, DocumentError> {
        let unfit = |field: &str, detail: String| DocumentError::Unfit {
            origin: origin.into(),
            number,
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
        if entry.metadata.name.as_deref().unwrap_or_default().is_empty() {
            return Err(unfit("metadata.name", "missing; every entry needs a name".into()));
        }
        entry.metadata.namespace.get_or_insert_with(|| "default".into());
        entry.condense();
        if entry.ownership == Ownership::default() {
            entry.ownership = Ownership::new(vec![declared(&value)]);
        }
        Ok(Self { value, entry })
    }
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
