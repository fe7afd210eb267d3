//! One stream: how it is opened, and how an answer on it is decoded.

use bytes::Bytes;
use futures::Stream;
use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use reqwest::header::{HeaderMap, HeaderValue, USER_AGENT};
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status, Streaming};

use super::codec::RawAnswers;
use super::connect::Connection;
use super::decode;
use super::message::{DiscoverRequest, INSTANCE, Service};
use crate::registry::decode::Decoded;
use crate::registry::polaris::Address;
use crate::registry::polaris::job::Job;
use crate::registry::polaris::large::{DECODE_APART, LARGE, Large};
use crate::registry::polaris::token::TOKEN_HEADER;
use crate::registry::{RegistryError, ServiceKey};

/// The call that is made.
const DISCOVER: PathAndQuery = PathAndQuery::from_static("/v1.PolarisGRPC/Discover");

/// The request for a service's instances.
pub(super) fn request(job: &Job) -> DiscoverRequest {
    let text = |text: &str| Some(text.to_owned());
    let service = Service {
        name: text(&job.question.service.name),
        namespace: text(&job.question.service.namespace),
        revision: text(&job.question.revision).filter(|revision| !revision.is_empty()),
        ..Service::default()
    };
    DiscoverRequest { kind: INSTANCE, service: Some(service) }
}

/// Opens a stream. It comes about when the server answers for the first time, which may be after its first answer.
pub(super) async fn open(
    connection: Connection,
    address: &Address,
    token: Option<HeaderValue>,
    limit: usize,
    requests: impl Stream<Item = DiscoverRequest> + Send + 'static,
) -> Result<Streaming<Bytes>, Status> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("polaris2istio"));
    if let Some(token) = token {
        headers.insert(TOKEN_HEADER, token);
    }
    let request = Request::from_parts(MetadataMap::from_headers(headers), Extensions::default(), requests);
    let mut client = client(connection, address, limit)?;
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    Ok(client.streaming(request, DISCOVER, RawAnswers::default()).await?.into_inner())
}

/// A client on a connection to an address, for messages of at most so many bytes.
pub(in crate::registry::polaris) fn client(
    connection: Connection,
    address: &Address,
    limit: usize,
) -> Result<Grpc<Connection>, Status> {
    let scheme = if address.is_tls() { "https" } else { "http" };
    let authority = address.discover_url().authority();
    let origin = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
    let origin = origin.map_err(|error| Status::internal(error.to_string()))?;
    Ok(Grpc::with_origin(connection, origin).max_decoding_message_size(limit))
}

/// Decodes an answer, a long one off the async threads. The second is whether it is about another service than asked for.
pub(super) async fn decode_for(job: &Job, answer: Bytes, large: &Large) -> (Result<Decoded, RegistryError>, bool) {
    let origin = job.question.origin();
    let decoded = if answer.len() < DECODE_APART {
        decode::decode(&answer, &origin)
    } else {
        decode_apart(answer, large, origin.clone()).await
    };
    match decoded {
        Ok((_, Some(answered))) if answered != *job.question.service => (Err(mixed_up(job, origin, answered)), true),
        Ok((decoded, _)) => (Ok(decoded), false),
        Err(error) => (Err(error), false),
    }
}

fn mixed_up(job: &Job, origin: String, answered: ServiceKey) -> RegistryError {
    RegistryError::WrongService { origin, asked: (*job.question.service).clone(), answered }
}

async fn decode_apart(
    answer: Bytes,
    large: &Large,
    origin: String,
) -> Result<(Decoded, Option<ServiceKey>), RegistryError> {
    let body = if answer.len() > LARGE { large.body().await } else { None };
    let leave = (body, large.decoding().await);
    let name = origin.clone();
    // The task keeps the leave, as it goes on where nobody waits for it any more.
    let task = tokio::task::spawn_blocking(move || {
        let decoded = decode::decode(&answer, &name);
        drop((answer, leave));
        decoded
    });
    task.await.unwrap_or_else(|error| {
        Err(RegistryError::NotMessage { origin, problem: format!("its decoding ended early: {error}") })
    })
}
