//! The one decoder of Polaris's answers: for what came over HTTP, for recorded files, and for the offline verbs.
//!
//! It is lenient in what a server may leave unset and strict in what would mislead: an answer of another type has an empty
//! list of instances, and taking it for a service without instances would clear endpoints.

use std::sync::Arc;

use polaris2istio_core::model::{Instance, Location, Service};

use super::pairs::{Excess, Pairs};
use super::wire::{self, EnumValue, ParseError, WireAnswer, WireService};
use super::wire_instance::{WireInstance, WireLocation};
use super::{Content, RegistryError, ServiceKey};
use crate::text;

/// The weight of an instance that gives none; the registry stores the same.
const DEFAULT_WEIGHT: u32 = 100;

/// The part of a server's own words that is repeated, in characters.
const INFO_LIMIT: usize = 200;

/// The largest answer, as text: fifteen thousand instances as Polaris writes them.
pub(super) const ANSWER_LIMIT: usize = 16 << 20;

/// How long a service's name, its namespace and its revision may be, in bytes; the registry itself takes 128.
const NAME_LIMIT: usize = 1_024;

/// The server limits how often one of its APIs may be called.
const API_LIMITED: u32 = 403_003;

/// The type of answers about the services of a namespace, by number.
pub(super) const SERVICES_TYPE: u64 = 6;

/// The types of answers that are about something else than one service's instances, by name and number.
const OTHER_TYPES: [(&str, u64); 7] = [
    ("CLUSTER", 2),
    ("ROUTING", 3),
    ("RATE_LIMIT", 4),
    ("CIRCUIT_BREAKER", 5),
    ("SERVICES", SERVICES_TYPE),
    ("NAMESPACES", 12),
    ("FAULT_DETECTOR", 13),
];

/// A registry's answer about one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The service that the answer itself names.
    pub service: ServiceKey,
    /// Its content.
    pub content: Content,
}

/// Decodes an answer that stands by itself, such as a recorded file; `source` is what errors call it.
///
/// # Errors
///
/// The text is not JSON, a field has an impossible value, the answer is none about the instances of one service (an
/// "unchanged" one included, which holds nothing), or it is the registry's word that something went wrong.
pub fn decode_answer(bytes: &[u8], source: &str) -> Result<Answer, RegistryError> {
    match decode(bytes, source)? {
        Decoded::Answer(content, Some(service)) => Ok(Answer { service, content }),
        Decoded::Answer(_, None) => Err(not_instances(source, "it says that a service does not exist, but not which")),
        Decoded::Unchanged => {
            Err(not_instances(source, "it says only that nothing changed (200001), so it holds no instances"))
        }
    }
}

/// A decoded answer, before it is compared with the question.
#[derive(Debug)]
pub enum Decoded {
    /// Content, with the service that the answer names; what is listed always names one.
    Answer(Content, Option<ServiceKey>),
    /// The last answer stands.
    Unchanged,
}

/// Decodes an answer; `origin` is what errors call it.
pub(super) fn decode(bytes: &[u8], origin: &str) -> Result<Decoded, RegistryError> {
    let answer = wire::parse(bytes).map_err(|error| match error {
        ParseError::Syntax(problem) => RegistryError::NotJson { origin: origin.to_owned(), problem },
        ParseError::Field { path, problem } => RegistryError::Field { origin: origin.to_owned(), field: path, problem },
    })?;
    meaning(answer, origin)
}

/// The meaning of an answer, whichever way it came.
pub(super) fn meaning(answer: WireAnswer, origin: &str) -> Result<Decoded, RegistryError> {
    match answer.code {
        Some(200_000) => {
            let service = listed(answer, origin)?;
            let key = ServiceKey::new(&*service.namespace, &*service.name);
            Ok(Decoded::Answer(Content::Listed(Arc::new(service)), Some(key)))
        }
        Some(200_001) => Ok(Decoded::Unchanged),
        Some(400_202) => Ok(Decoded::Answer(Content::Missing, named(answer.service.as_ref()))),
        Some(code) => Err(trouble(code, answer.info.as_deref().unwrap_or_default(), origin)),
        None => Err(not_instances(origin, "field `code` is missing, so it is no answer of Polaris")),
    }
}

/// The error that a code stands for; also used with a bare HTTP status, by its thousands.
pub(super) fn trouble(code: u32, info: &str, origin: &str) -> RegistryError {
    let origin = origin.to_owned();
    let info = info.chars().take(INFO_LIMIT).map(text::printable).collect();
    let status = if code < 1_000 { code } else { code / 1_000 };
    match status {
        // 403003 limits an API; its neighbours forbid a token or a role, and a proxy's 403 forbids, too.
        429 => RegistryError::Limited { origin, code, info, wait: None },
        403 if code == API_LIMITED => RegistryError::Limited { origin, code, info, wait: None },
        401 | 403 => RegistryError::Denied { origin, code, info },
        500..=599 => RegistryError::Server { origin, code, info },
        _ => RegistryError::Refused { origin, code, info },
    }
}

pub(super) fn not_instances(origin: &str, problem: &str) -> RegistryError {
    RegistryError::NotInstances { origin: origin.to_owned(), problem: problem.to_owned() }
}

fn named(service: Option<&WireService>) -> Option<ServiceKey> {
    let service = service?;
    let name = service.name.as_deref().filter(|name| !name.is_empty())?;
    Some(ServiceKey::new(service.namespace.as_deref().unwrap_or_default(), name))
}

fn listed(answer: WireAnswer, origin: &str) -> Result<Service, RegistryError> {
    if let Some(kind) = answer.kind.as_ref().filter(|kind| is_other_type(kind)) {
        return Err(not_instances(
            origin,
            &format!("field `type` is {kind:.200}, so it lists no instances of a service"),
        ));
    }
    let Some(key) = named(answer.service.as_ref()) else {
        return Err(not_instances(origin, "field `service.name` is missing or empty, so nobody knows whose it is"));
    };
    let excess =
        |excess: Excess| RegistryError::TooMany { origin: origin.to_owned(), what: excess.what, limit: excess.limit };
    let (revision, metadata) = answer.service.map(|service| (service.revision, service.metadata)).unwrap_or_default();
    let revision = revision.unwrap_or_default();
    if [&key.namespace, &key.name, &revision].iter().any(|text| text.len() > NAME_LIMIT) {
        return Err(excess(Excess { what: "bytes in a service's namespace, name or revision", limit: NAME_LIMIT }));
    }
    // A list that is not there is no empty one: it is an answer of something else, and would clear endpoints.
    let Some(listed) = answer.instances else {
        return Err(not_instances(
            origin,
            "field `instances` is missing, where a service without any has an empty list",
        ));
    };
    let listed = listed.0.map_err(excess)?;
    let mut instances = listed.into_iter().map(instance).collect::<Result<Vec<_>, _>>().map_err(excess)?;
    // The server's order is random. An id is unique, but a hand-written answer may break that, so the whole order counts.
    instances.sort_unstable_by(|a, b| {
        (&a.id, &a.host, a.port, &a.protocol, &a.version, &a.metadata).cmp(&(
            &b.id,
            &b.host,
            b.port,
            &b.protocol,
            &b.version,
            &b.metadata,
        ))
    });
    Ok(Service {
        namespace: key.namespace,
        name: key.name,
        revision,
        metadata: pairs(metadata).map_err(excess)?,
        instances,
    })
}

fn is_other_type(kind: &EnumValue) -> bool {
    OTHER_TYPES.iter().any(|(name, number)| match kind {
        EnumValue::Name(given) => given == name,
        EnumValue::Number(given) => given == number,
    })
}

fn instance(wire: WireInstance) -> Result<Instance, Excess> {
    let host = wire.host.unwrap_or_default();
    let port = wire.port.unwrap_or_default();
    // A server always gives an id; a hand-written answer need not.
    let id = wire.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("{host}:{port}"));
    Ok(Instance {
        id,
        host,
        port,
        protocol: wire.protocol.unwrap_or_default(),
        version: wire.version.unwrap_or_default(),
        weight: wire.weight.unwrap_or(DEFAULT_WEIGHT),
        priority: wire.priority.unwrap_or_default(),
        healthy: wire.healthy.unwrap_or(true),
        isolated: wire.isolate.unwrap_or_default(),
        location: location(wire.location),
        metadata: pairs(wire.metadata)?,
    })
}

fn location(wire: Option<WireLocation>) -> Location {
    let (region, zone, campus) =
        wire.map(|location| (location.region, location.zone, location.campus)).unwrap_or_default();
    Location { region: region.unwrap_or_default(), zone: zone.unwrap_or_default(), campus: campus.unwrap_or_default() }
}

fn pairs(metadata: Option<Pairs>) -> Result<Vec<(String, String)>, Excess> {
    let metadata = metadata.unwrap_or_default().0?;
    Ok(metadata.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect())
}
