//! Polaris's JSON, as it is on the wire: requests and answers of `POST /v1/Discover`.
//!
//! The server omits nothing and writes `null` for what is unset, so every field is optional here and null is its default.
//! Fields that no rule could want are not decoded at all, an instance's `service_token` among them. Casing is mixed on the
//! wire; the names here follow it.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use super::ServiceKey;
use super::pairs::Pairs;
use super::wire_instance::Instances;
use crate::text::{self, NotText};

/// The longest text on a wrong field, in characters.
const WORDS: usize = 200;

/// The body of a request for a service's instances.
///
/// Servers up to 1.18.1 refuse unknown fields, so there is nothing here but what is needed.
#[derive(Serialize)]
struct DiscoverRequest<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    service: RequestedService<'a>,
}

#[derive(Serialize)]
struct RequestedService<'a> {
    namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    revision: &'a str,
}

/// Writes the request for a service's instances; with an empty revision the server answers in full.
pub(super) fn request_body(service: &ServiceKey, revision: &str) -> Vec<u8> {
    body("INSTANCE", RequestedService { namespace: &service.namespace, name: &service.name, revision })
}

/// Writes the request for a namespace's services. A server that gets one without a namespace comes to a standstill, so there
/// is none without.
pub(super) fn services_body(namespace: &str, revision: &str) -> Vec<u8> {
    body("SERVICES", RequestedService { namespace, name: "", revision })
}

fn body(kind: &'static str, service: RequestedService<'_>) -> Vec<u8> {
    let request = DiscoverRequest { kind, service };
    // Strings alone cannot fail to be written as JSON; an empty body would be answered with 400001, which is reported.
    serde_json::to_vec(&request).unwrap_or_default()
}

#[derive(Debug, DeriveDeserialize)]
pub(super) struct WireAnswer {
    pub(super) code: Option<u32>,
    pub(super) info: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<EnumValue>,
    pub(super) service: Option<WireService>,
    pub(super) instances: Option<Instances>,
}

/// The service that an answer is about.
#[derive(Debug, DeriveDeserialize)]
pub(super) struct WireService {
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) revision: Option<String>,
    pub(super) metadata: Option<Pairs>,
}

/// A value of an enum, which comes as a name or as a number; any value is taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EnumValue {
    Name(String),
    Number(u64),
}

impl fmt::Display for EnumValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.pad(name),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl<'de> Deserialize<'de> for EnumValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrNumber;

        impl<'de> Visitor<'de> for NameOrNumber {
            type Value = EnumValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name or the number of an enum value")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<EnumValue, E> {
                Ok(EnumValue::Name(name.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<EnumValue, E> {
                Ok(EnumValue::Number(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<EnumValue, E> {
                Ok(EnumValue::Name(number.to_string()))
            }
        }

        deserializer.deserialize_any(NameOrNumber)
    }
}

/// Decodes an answer. On failure it is read once more, to find out which field is to blame: the path costs time that a
/// sound answer should not pay.
pub(super) fn parse(bytes: &[u8]) -> Result<WireAnswer, ParseError> {
    let bytes = text::without_mark(bytes);
    serde_json::from_slice(bytes).map_err(|error| match text::read(bytes) {
        Err(problem @ NotText::Utf16) => ParseError::Syntax(format!("it is {problem}")),
        _ => locate(bytes, error),
    })
}

/// Why an answer could not be decoded.
#[derive(Debug)]
pub(super) enum ParseError {
    /// It is no JSON text, with the parser's words.
    Syntax(String),
    /// It is JSON, but a field has a value that it cannot have.
    Field { path: String, problem: String },
}

fn locate(bytes: &[u8], error: serde_json::Error) -> ParseError {
    // A whole text that is JSON, but no object of ours, blames a field; all else is the text's own fault.
    if serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
        return ParseError::Syntax(syntax(&error, bytes.len()));
    }
    let mut text = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, WireAnswer>(&mut text) {
        Err(located) => ParseError::Field { path: shortened(located.path()), problem: shortened(located.into_inner()) },
        Ok(_) => ParseError::Syntax(shortened(error)),
    }
}

/// The beginning and the end of a text that may repeat a value or a key of the answer, and so be as long as the answer.
fn shortened(text: impl fmt::Display) -> String {
    let text = text.to_string();
    let half = WORDS / 2;
    match (text.char_indices().nth(half), text.char_indices().nth_back(half)) {
        (Some((head, _)), Some((tail, _))) if head < tail => format!("{}...{}", &text[..head], &text[tail..]),
        _ => text,
    }
}

fn syntax(error: &serde_json::Error, length: usize) -> String {
    match (error.is_eof(), length) {
        (_, 0) => "it is empty".to_owned(),
        (true, _) => format!("it ends too early, after {length} bytes: {error}"),
        (false, _) => format!("it is not JSON: {error}"),
    }
}
