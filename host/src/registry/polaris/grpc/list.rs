//! The services of a namespace by gRPC: a stream of one question. The questions about instances are not held up by it, and a
//! server keeps nothing of a stream that has ended.

use bytes::Bytes;
use futures::future::ready;
use futures::stream::once;
use prost::{DecodeError, Message};
use tokio::time::timeout;
use tonic::Status;

use super::connect::Connection;
use super::decode::{PAIRS_IN_ONE_PLACE, count_of, each_field, pairs};
use super::exchange;
use super::message::{DiscoverRequest, RESPONSE_SERVICES, SERVICE_METADATA, SERVICES, Service, ServicesResponse};
use super::status::{self, dropped};
use crate::registry::catalogue::{self, WireCatalogue, WireListed, WireNamespace, listing, not_services};
use crate::registry::pairs::{Excess, PAIRS_OF_ONE, Within};
use crate::registry::polaris::PolarisConfig;
use crate::registry::polaris::job::Question;
use crate::registry::polaris::large::Large;
use crate::registry::polaris::token::Headers;
use crate::registry::wire::EnumValue;
use crate::registry::{Listing, RegistryError};

/// Asks one server for services, on a connection that is kept.
#[derive(Default)]
pub(in crate::registry::polaris) struct Lister {
    connection: Option<Connection>,
}

impl Lister {
    /// Asks for the services of the question's namespace; once more where the token has changed since.
    pub(in crate::registry::polaris) async fn list(
        &mut self,
        question: &Question,
        config: &PolarisConfig,
        (headers, large): (&Headers, &Large),
    ) -> Result<Listing, RegistryError> {
        let token = headers.token();
        let result = self.ask(question, config, (headers, large)).await;
        if matches!(result, Err(RegistryError::Denied { .. })) && headers.renew(token.as_ref()).await? {
            return self.ask(question, config, (headers, large)).await;
        }
        result
    }

    async fn ask(
        &mut self,
        question: &Question,
        config: &PolarisConfig,
        (headers, large): (&Headers, &Large),
    ) -> Result<Listing, RegistryError> {
        let answer = match timeout(config.total_timeout, self.answer(question, config, headers)).await {
            Ok(answer) => answer,
            Err(_) => {
                let (service, address) = ((*question.service).clone(), question.address.to_string());
                Err(RegistryError::TimedOut { service, address, after: config.total_timeout })
            }
        };
        if answer.is_err() {
            self.connection = None;
        }
        let (answer, origin) = (answer?, question.origin());
        let leave = large.decoding().await;
        let name = origin.clone();
        let task = tokio::task::spawn_blocking(move || {
            let listing = decode_services_message(&answer, &name);
            drop((answer, leave));
            listing
        });
        task.await.unwrap_or_else(|error| Err(not_services(&origin, &format!("its decoding ended early: {error}"))))
    }

    async fn answer(
        &mut self,
        question: &Question,
        config: &PolarisConfig,
        headers: &Headers,
    ) -> Result<Bytes, RegistryError> {
        let meaning = |status: Status| status::meaning(&status, question, config.body_limit);
        let connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => Connection::open(&question.address, config).await?,
        };
        self.connection = Some(connection.clone());
        let requests = once(ready(request(question)));
        let opened = exchange::open(connection, &question.address, headers.token(), config.body_limit, requests).await;
        let answer = opened.map_err(meaning)?.message().await.map_err(meaning)?;
        answer.ok_or_else(|| dropped(question, "the server ended the stream without an answer"))
    }
}

fn request(question: &Question) -> DiscoverRequest {
    let text = |text: &str| Some(text.to_owned());
    let service = Service {
        namespace: text(&question.service.namespace),
        revision: text(&question.revision).filter(|revision| !revision.is_empty()),
        ..Service::default()
    };
    DiscoverRequest { kind: SERVICES, service: Some(service) }
}

/// Reads an answer about a namespace that came by gRPC; `origin` is what errors call it.
///
/// # Errors
///
/// It is none, goes over a limit, or is the registry's word that something went wrong.
pub fn decode_services_message(answer: &[u8], origin: &str) -> Result<Listing, RegistryError> {
    let broken = |error: DecodeError| not_services(origin, &format!("it is no such message: {error:.200}"));
    count(answer).map_err(broken)?.map_err(|excess| RegistryError::TooMany {
        origin: origin.to_owned(),
        what: excess.what,
        limit: excess.limit,
    })?;
    let answer = ServicesResponse::decode(answer).map_err(broken)?;
    let of_services = |service: Service| WireListed {
        namespace: service.namespace,
        name: service.name,
        metadata: Some(pairs(service.metadata)),
    };
    let about = |service: Service| WireNamespace { namespace: service.namespace, revision: service.revision };
    let wire = WireCatalogue {
        code: answer.code,
        info: answer.info,
        kind: u64::try_from(answer.kind).ok().map(EnumValue::Number),
        service: answer.service.map(about),
        services: Some(answer.services.into_iter().map(of_services).collect()),
    };
    listing(wire, origin)
}

/// Counts what repeats, before anything is kept.
fn count(answer: &[u8]) -> Result<Within<()>, DecodeError> {
    let mut services = 0;
    each_field(answer, |tag, field| {
        if tag != RESPONSE_SERVICES {
            return Ok(Ok(()));
        }
        services += 1;
        if services > catalogue::SERVICES {
            return Ok(Err(Excess { what: "services in a namespace", limit: catalogue::SERVICES }));
        }
        let pairs = count_of(field, SERVICE_METADATA)?;
        Ok(if pairs > PAIRS_OF_ONE { Err(PAIRS_IN_ONE_PLACE) } else { Ok(()) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(services: Vec<Service>) -> ServicesResponse {
        let about = Service { namespace: Some("prod".into()), revision: Some("r".into()), ..Service::default() };
        ServicesResponse { code: Some(200_000), info: None, kind: SERVICES, service: Some(about), services }
    }

    fn service(name: &str) -> Service {
        let metadata = [("team".to_owned(), "shop".to_owned())].into();
        Service { name: Some(name.into()), namespace: Some("prod".into()), metadata, ..Service::default() }
    }

    #[test]
    fn reads_a_list_within_bounds() {
        let found =
            decode_services_message(&answer(vec![service("b"), service("a")]).encode_to_vec(), "the test").unwrap();
        let Listing::Listed(catalogue) = found else { panic!("{found:?}") };
        assert_eq!(catalogue.revision, "r");
        assert_eq!(catalogue.services.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(catalogue.services["a"]["team"], "shop");
        let unchanged = ServicesResponse { code: Some(200_001), ..answer(Vec::new()) };
        assert_eq!(decode_services_message(&unchanged.encode_to_vec(), "the test").unwrap(), Listing::Unchanged);
        let many = answer(vec![Service::default(); catalogue::SERVICES + 1]).encode_to_vec();
        assert!(
            decode_services_message(&many, "the test").unwrap_err().to_string().contains("more than 100000 services")
        );
        let other = ServicesResponse { kind: 1, ..answer(Vec::new()) };
        assert!(
            decode_services_message(&other.encode_to_vec(), "the test")
                .unwrap_err()
                .to_string()
                .contains("is not SERVICES")
        );
        assert!(decode_services_message(b"\xff\xff", "the test").is_err());
    }
}
