//! Maps of an answer that stop being kept once they are too long: the rest is read over, and costs nothing.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// Pairs of metadata of a service or of an instance; the registry itself takes 64.
pub(super) const PAIRS_OF_ONE: usize = 1_024;

/// A limit that an answer goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Excess {
    pub(super) what: &'static str,
    pub(super) limit: usize,
}

/// Something, or that it is too much.
pub(super) type Within<T> = Result<T, Excess>;

/// Text pairs, sorted by key.
pub(super) type Metadata = BTreeMap<String, Option<String>>;

/// Pairs of metadata.
#[derive(Debug)]
pub(super) struct Pairs(pub(super) Within<Metadata>);

impl Default for Pairs {
    fn default() -> Self {
        Self(Ok(BTreeMap::new()))
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsReader)
    }
}

struct PairsReader;

impl<'de> Visitor<'de> for PairsReader {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Metadata::new();
        while let Some((key, value)) = map.next_entry()? {
            if pairs.len() == PAIRS_OF_ONE {
                drop(pairs);
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(Pairs(Err(Excess { what: "pairs of metadata in one place", limit: PAIRS_OF_ONE })));
            }
            pairs.insert(key, value);
        }
        Ok(Pairs(Ok(pairs)))
    }
}
