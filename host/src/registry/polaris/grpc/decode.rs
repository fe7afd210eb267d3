//! Decodes an answer that came by gRPC, within the bounds of those by HTTP.
//!
//! Two bytes of a message make an instance of some hundred in memory, so what repeats is counted before anything is kept.

use std::collections::BTreeMap;

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{DecodeError, Message};

use super::message::{
    DiscoverResponse, INSTANCE, INSTANCE_METADATA, Instance, RESPONSE_INSTANCES, RESPONSE_SERVICE, SERVICE_METADATA,
};
use crate::registry::decode::{self, Decoded};
use crate::registry::pairs::{Excess, Metadata, PAIRS_OF_ONE, Pairs, Within};
use crate::registry::wire::{EnumValue, WireAnswer, WireService};
use crate::registry::wire_instance::{INSTANCES, Instances, PAIRS, WireInstance, WireLocation};
use crate::registry::{Answer, RegistryError, ServiceKey};

/// Decodes an answer of the gRPC API that stands by itself; `source` is what errors call it.
///
/// # Errors
///
/// It is no such message, goes over a limit, is none about the instances of one service (an "unchanged" one included, which
/// holds nothing), or it is the registry's word that something went wrong.
pub fn decode_message(bytes: &[u8], source: &str) -> Result<Answer, RegistryError> {
    match decode(bytes, source)? {
        (Decoded::Answer(content, _), Some(service)) => Ok(Answer { service, content }),
        _ => Err(decode::not_instances(source, "it holds no instances of a service that it names")),
    }
}

/// Decodes an answer; `origin` is what errors call it. Returns with it the service that it names, if it does.
pub(super) fn decode(bytes: &[u8], origin: &str) -> Result<(Decoded, Option<ServiceKey>), RegistryError> {
    let broken = |error: DecodeError| RegistryError::NotMessage {
        origin: origin.to_owned(),
        problem: format!("it is no such message: {error:.200}"),
    };
    count(bytes).map_err(broken)?.map_err(|excess| RegistryError::TooMany {
        origin: origin.to_owned(),
        what: excess.what,
        limit: excess.limit,
    })?;
    let answer = DiscoverResponse::decode(bytes).map_err(broken)?;
    // A list that is empty looks like one that is not there, so the type alone tells that this is an answer about instances.
    if answer.code == Some(200_000) && answer.kind != INSTANCE {
        let problem = format!("field `type` is {}, so it lists no instances of a service", answer.kind);
        return Err(decode::not_instances(origin, &problem));
    }
    let named = answer.service.as_ref().and_then(|service| {
        let name = service.name.clone().filter(|name| !name.is_empty())?;
        Some(ServiceKey::new(service.namespace.clone().unwrap_or_default(), name))
    });
    Ok((decode::meaning(wire(answer), origin)?, named))
}

/// Counts what repeats.
fn count(answer: &[u8]) -> Result<Within<()>, DecodeError> {
    let (mut instances, mut all_pairs, mut of_service) = (0, 0, 0);
    each_field(answer, |tag, field| {
        match tag {
            RESPONSE_SERVICE => {
                of_service += count_of(field, SERVICE_METADATA)?;
            }
            RESPONSE_INSTANCES => {
                let pairs = count_of(field, INSTANCE_METADATA)?;
                if pairs > PAIRS_OF_ONE {
                    return Ok(Err(PAIRS_IN_ONE_PLACE));
                }
                (instances, all_pairs) = (instances + 1, all_pairs + pairs);
            }
            _ => {}
        }
        Ok(match () {
            () if instances > INSTANCES => Err(Excess { what: "instances", limit: INSTANCES }),
            () if all_pairs > PAIRS => Err(Excess { what: "pairs of metadata", limit: PAIRS }),
            () if of_service > PAIRS_OF_ONE => Err(PAIRS_IN_ONE_PLACE),
            () => Ok(()),
        })
    })
}

pub(super) const PAIRS_IN_ONE_PLACE: Excess = Excess { what: "pairs of metadata in one place", limit: PAIRS_OF_ONE };

/// How often a field stands in a message.
pub(super) fn count_of(message: &[u8], tag: u32) -> Result<usize, DecodeError> {
    let mut count = 0;
    let _ = each_field(message, |found, _| {
        count += usize::from(found == tag);
        Ok(Ok(()))
    })?;
    Ok(count)
}

/// Goes through the fields of a message that have a length; ends at the first excess.
pub(super) fn each_field<'a>(
    mut message: &'a [u8],
    mut each: impl FnMut(u32, &'a [u8]) -> Result<Within<()>, DecodeError>,
) -> Result<Within<()>, DecodeError> {
    while !message.is_empty() {
        let (tag, kind) = decode_key(&mut message)?;
        if kind != WireType::LengthDelimited {
            skip_field(kind, tag, &mut message, DecodeContext::default())?;
            continue;
        }
        let length = usize::try_from(decode_varint(&mut message)?).unwrap_or(usize::MAX);
        // One that is longer than all the rest is refused by the decoder, with its own words.
        let (field, rest) = message.split_at(length.min(message.len()));
        message = rest;
        if let Err(excess) = each(tag, field)? {
            return Ok(Err(excess));
        }
    }
    Ok(Ok(()))
}

/// The same answer in the form in which it comes by HTTP, so that one set of rules reads both.
fn wire(answer: DiscoverResponse) -> WireAnswer {
    WireAnswer {
        code: answer.code,
        info: answer.info,
        kind: u64::try_from(answer.kind).ok().map(EnumValue::Number),
        service: answer.service.map(|service| WireService {
            namespace: service.namespace,
            name: service.name,
            revision: service.revision,
            metadata: Some(pairs(service.metadata)),
        }),
        instances: Some(Instances(Ok(answer.instances.into_iter().map(instance).collect()))),
    }
}

fn instance(instance: Instance) -> WireInstance {
    WireInstance {
        id: instance.id,
        host: instance.host,
        port: instance.port,
        protocol: instance.protocol,
        version: instance.version,
        priority: instance.priority,
        weight: instance.weight,
        healthy: instance.healthy,
        isolate: instance.isolate,
        location: instance.location.map(|location| WireLocation {
            region: location.region,
            zone: location.zone,
            campus: location.campus,
        }),
        metadata: Some(pairs(instance.metadata)),
    }
}

pub(super) fn pairs(metadata: BTreeMap<String, String>) -> Pairs {
    Pairs(Ok(metadata.into_iter().map(|(key, value)| (key, Some(value))).collect::<Metadata>()))
}
