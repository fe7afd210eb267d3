//! The instances of an answer, as they are on the wire. A list of them stops being kept once it is too long: the rest is
//! read over, and costs nothing.
//!
//! A list of `{}` is two hundred times larger in memory than as text, so a limit on text alone is none.

use std::fmt;

use serde::Deserialize as DeriveDeserialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::pairs::{Excess, Pairs, Within};

/// Instances of an answer; an entry takes a fifth of them at most.
pub(super) const INSTANCES: usize = 20_000;

/// Pairs of metadata of all instances of an answer.
pub(super) const PAIRS: usize = 200_000;

/// One instance.
#[derive(Debug, DeriveDeserialize)]
pub(super) struct WireInstance {
    pub(super) id: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u32>,
    pub(super) protocol: Option<String>,
    pub(super) version: Option<String>,
    pub(super) priority: Option<u32>,
    pub(super) weight: Option<u32>,
    pub(super) healthy: Option<bool>,
    pub(super) isolate: Option<bool>,
    pub(super) location: Option<WireLocation>,
    pub(super) metadata: Option<Pairs>,
}

/// Where an instance runs.
#[derive(Debug, DeriveDeserialize)]
pub(super) struct WireLocation {
    pub(super) region: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) campus: Option<String>,
}

/// The instances of an answer.
#[derive(Debug)]
pub(super) struct Instances(pub(super) Within<Vec<WireInstance>>);

impl<'de> Deserialize<'de> for Instances {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(InstancesReader)
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
