//! The meaning of the end of a stream, for the service that is waited for.

use std::error::Error;

use tonic::{Code, Status};

use crate::registry::RegistryError;
use crate::registry::decode;
use crate::registry::polaris::job::Question;
use crate::{http, text};

/// The part of a status's own words that is repeated, in characters.
const WORDS: usize = 200;

/// The alert of a server that wants a certificate comes when the stream is open already, and ends that like any other trouble.
const UNASKED: &str = " (so ends, too, who shows no certificate where one is wanted: --polaris-cert-file)";

/// Whom the end of a stream concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concerns {
    /// The one that is waited for: the server takes one after the other.
    First,
    /// All.
    All,
}

/// Whom a status concerns. What was refused was not refused for the sake of one service.
pub(super) fn concerns(status: &Status) -> Concerns {
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied | Code::ResourceExhausted | Code::Unimplemented => Concerns::All,
        _ => Concerns::First,
    }
}

/// The meaning for a service.
pub(super) fn meaning(status: &Status, question: &Question, limit: usize) -> RegistryError {
    let origin = question.origin();
    let words: String = status.message().chars().take(WORDS).map(text::printable).collect();
    match status.code() {
        Code::Unauthenticated => decode::trouble(401, &words, &origin),
        Code::PermissionDenied => decode::trouble(403, &words, &origin),
        Code::ResourceExhausted => decode::trouble(429, &words, &origin),
        Code::Unimplemented => {
            RegistryError::NotPolaris { origin, problem: format!("it has no `v1.PolarisGRPC/Discover` ({words})") }
        }
        // The protocol's own word for a message beyond the limit.
        Code::OutOfRange => RegistryError::TooLarge { origin, limit },
        _ if status.source().is_some() => dropped(question, &cut(status)),
        _ => decode::trouble(500, &words, &origin),
    }
}

/// The connection or the stream ended before its time.
pub(super) fn dropped(question: &Question, problem: &str) -> RegistryError {
    let (service, address) = ((*question.service).clone(), question.address.to_string());
    let mut problem: String = problem.chars().take(WORDS).map(text::printable).collect();
    if question.address.is_tls() {
        problem.push_str(UNASKED);
    }
    RegistryError::Dropped { service, address, problem }
}

fn cut(status: &Status) -> String {
    match http::cause::<hyper::Error>(status) {
        Some(error) => error.source().map_or_else(|| error.to_string(), ToString::to_string),
        None => status.message().to_owned(),
    }
}
