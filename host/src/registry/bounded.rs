//! Lists and maps of an answer that stop being kept once they are too long: the rest is read over, and costs nothing.
//!
//! A list of `{}` is two hundred times larger in memory than as text, so a limit on text alone is none.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::wire::{Metadata, WireInstance};

/// Instances of an answer; an entry takes a fifth of them at most.
pub(super) const INSTANCES: usize = 20_000;

/// Pairs of metadata of a service or of an instance; the registry itself takes 64.
pub(super) const PAIRS_OF_ONE: usize = 1_024;

/// Pairs of metadata of all instances of an answer.
pub(super) const PAIRS: usize = 200_000;

/// What an answer has too many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Excess {
    pub(super) what: &'static str,
    pub(super) limit: usize,
}

/// Something, or that it is too much.
pub(super) type Within<T> = Result<T, Excess>;

/// The instances of an answer.
#[derive(Debug)]
pub(super) struct Instances(pub(super) Within<Vec<WireInstance>>);

/// Pairs of metadata.
#[derive(Debug)]
pub(super) struct Pairs(pub(super) Within<Metadata>);

impl Default for Pairs {
    fn default() -> Self {
        Self(Ok(BTreeMap::new()))
    }
}

impl<'de> Deserialize<'de> for Instances {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(InstancesReader)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsReader)
    }
}

struct InstancesReader;

impl<'de> Visitor<'de> for InstancesReader {
    type Value = Instances;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of instances")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Instances, A::Error> {
        let (mut instances, mut pairs) = (Vec::new(), 0);
        while let Some(next) = list.next_element::<Option<WireInstance>>()? {
            let Some(instance) = next else { continue };
            let counted = match instance.metadata.as_ref().map(|metadata| &metadata.0) {
                Some(Err(excess)) => Err(*excess),
                Some(Ok(metadata)) => Ok(metadata.len()),
                None => Ok(0),
            };
            let excess = match counted {
                Err(excess) => excess,
                Ok(more) if pairs + more > PAIRS => Excess { what: "pairs of metadata", limit: PAIRS },
                Ok(_) if instances.len() == INSTANCES => Excess { what: "instances", limit: INSTANCES },
                Ok(more) => {
                    pairs += more;
                    instances.push(instance);
                    continue;
                }
            };
            drop(instances);
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Instances(Err(excess)));
        }
        Ok(Instances(Ok(instances)))
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
