//! Parts of a document that another release wrote: one that this release has no word for is as if it were not there.
//!
//! Only for what can be missed. What must be known is read strictly, and stops a process that cannot read it.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;

/// A part, or nothing.
pub(crate) fn option<'de, D: Deserializer<'de>, T: DeserializeOwned>(document: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(document)?).ok())
}

/// The parts of a list that can be read; none of what is no list.
pub(crate) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned, L: FromIterator<T>>(
    document: D,
) -> Result<L, D::Error> {
    let parts = match Value::deserialize(document)? {
        Value::Array(parts) => parts,
        _ => Vec::new(),
    };
    Ok(parts.into_iter().filter_map(|part| serde_json::from_value(part).ok()).collect())
}
