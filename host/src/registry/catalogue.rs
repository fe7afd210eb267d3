//! The catalogue of a namespace: which services it has. Beside the instances of services this is asked for seldom, and by
//! policies alone.
//!
//! An answer that is empty is not the same as none: a registry answers for a namespace that it does not know as if that had no
//! services. Only the revision tells them apart.

use std::collections::BTreeMap;
use std::fmt;

use futures::future::BoxFuture;
use serde::Deserialize;

use super::decode::{self, trouble};
use super::pairs::{Excess, Pairs};
use super::wire::EnumValue;
use super::{RegistryError, ServiceKey};
use crate::text;

/// Services that a namespace may have.
pub(super) const SERVICES: usize = 100_000;

/// Where catalogues come from.
pub trait CatalogueSource: fmt::Debug + Send + Sync {
    /// Asks for the services of a namespace; with the revision that was seen last, the answer may be that it still holds.
    /// Without an answer, or without one that can be understood, nothing is known of any service.
    fn list<'a>(&'a self, namespace: &'a str, revision: &'a str) -> BoxFuture<'a, Result<Listing, RegistryError>>;
}

/// The services of a namespace, aliases among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Equal while nothing changed; empty if the registry does not know the namespace.
    pub revision: String,
    /// Name -> metadata.
    pub services: BTreeMap<String, BTreeMap<String, String>>,
}

/// An answer about a namespace.
#[derive(Debug, PartialEq, Eq)]
pub enum Listing {
    Listed(Catalogue),
    /// The last answer stands.
    Unchanged,
}

impl Catalogue {
    /// Whether the registry does not know the namespace, or says nothing that can be told from that.
    pub fn is_unknown(&self) -> bool {
        self.revision.is_empty() && self.services.is_empty()
    }
}

/// An answer, however it came.
#[derive(Debug, Default, Deserialize)]
pub(super) struct WireCatalogue {
    pub(super) code: Option<u32>,
    #[serde(default)]
    pub(super) info: Option<String>,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<EnumValue>,
    #[serde(default)]
    pub(super) service: Option<WireNamespace>,
    #[serde(default)]
    pub(super) services: Option<Vec<WireListed>>,
}

/// The answer's word on the namespace.
#[derive(Debug, Default, Deserialize)]
pub(super) struct WireNamespace {
    #[serde(default)]
    pub(super) namespace: Option<String>,
    #[serde(default)]
    pub(super) revision: Option<String>,
}

/// A service of the list.
#[derive(Debug, Default, Deserialize)]
pub(super) struct WireListed {
    #[serde(default)]
    pub(super) namespace: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) metadata: Option<Pairs>,
}

/// Reads an answer about a namespace that came by HTTP; `origin` is what errors call it.
///
/// # Errors
///
/// It is none, goes over a limit, or is the registry's word that something went wrong.
pub fn decode_listing(bytes: &[u8], origin: &str) -> Result<Listing, RegistryError> {
    let answer = serde_json::from_slice(text::without_mark(bytes))
        .map_err(|error| not_services(origin, &format!("it is no list of services: {error:.200}")))?;
    listing(answer, origin)
}

/// The meaning of an answer.
pub(super) fn listing(answer: WireCatalogue, origin: &str) -> Result<Listing, RegistryError> {
    match answer.code {
        Some(200_000) => {}
        Some(200_001) => return Ok(Listing::Unchanged),
        Some(code) => return Err(trouble(code, answer.info.as_deref().unwrap_or_default(), origin)),
        None => return Err(not_services(origin, "field `code` is missing, so it is no answer of Polaris")),
    }
    let of_services = |kind: &EnumValue| match kind {
        EnumValue::Name(name) => name == "SERVICES",
        EnumValue::Number(number) => *number == decode::SERVICES_TYPE,
    };
    if !answer.kind.as_ref().is_some_and(of_services) {
        return Err(not_services(origin, "field `type` is not SERVICES, so it lists no services of a namespace"));
    }
    let excess =
        |excess: Excess| RegistryError::TooMany { origin: origin.to_owned(), what: excess.what, limit: excess.limit };
    let services = answer.services.unwrap_or_default();
    if services.len() > SERVICES {
        return Err(excess(Excess { what: "services in a namespace", limit: SERVICES }));
    }
    let about = answer.service.unwrap_or_default();
    let namespace = about.namespace.unwrap_or_default();
    let mut catalogue = Catalogue { revision: about.revision.unwrap_or_default(), services: BTreeMap::new() };
    for service in services {
        // A namespace that is asked for is never empty; one of a list that is left out is the one asked for.
        let other = service.namespace.is_some_and(|of| !of.is_empty() && !namespace.is_empty() && of != namespace);
        let Some(name) = service.name.filter(|name| !name.is_empty() && !other) else { continue };
        let metadata = service.metadata.unwrap_or_default().0.map_err(excess)?;
        let metadata = metadata.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect();
        catalogue.services.insert(name, metadata);
    }
    Ok(Listing::Listed(catalogue))
}

pub(super) fn not_services(origin: &str, problem: &str) -> RegistryError {
    RegistryError::NotServices { origin: origin.to_owned(), problem: problem.to_owned() }
}

/// The name by which errors call a whole namespace.
pub(super) fn all_of(namespace: &str) -> ServiceKey {
    ServiceKey::new(namespace, "*")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(answer: Value, expected: Result<Listing, &str>) {
        let found = decode_listing(answer.to_string().as_bytes(), "the test");
        match (found, expected) {
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, expected) => assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned)),
        }
    }

    fn about(namespace: &str, revision: Value) -> Value {
        json!({"name": "", "namespace": namespace, "revision": revision, "metadata": {}})
    }

    #[test]
    fn tells_a_list_from_what_only_looks_empty() {
        let service = |name: &str, metadata: Value| json!({"name": name, "namespace": "prod", "metadata": metadata, "token": null});
        let listed = json!([
            service("cart", json!({"team": "shop", "none": null})),
            service("", json!({})),
            service("B/x", json!(null))
        ]);
        let services = [
            ("cart".to_owned(), [("team".to_owned(), "shop".to_owned()), ("none".to_owned(), String::new())].into()),
            ("B/x".to_owned(), BTreeMap::new()),
        ];
        let catalogue = Catalogue { revision: "r".into(), services: services.into() };
        let answer =
            json!({"code": 200000, "type": "SERVICES", "service": about("prod", json!("r")), "services": listed});
        check(answer, Ok(Listing::Listed(catalogue)));
        let unknown =
            json!({"code": 200000, "type": "SERVICES", "service": about("nons", json!(null)), "services": []});
        check(unknown.clone(), Ok(Listing::Listed(Catalogue::default())));
        assert!(Catalogue::default().is_unknown());
        assert!(!Catalogue { revision: "r".into(), ..Catalogue::default() }.is_unknown());
        check(json!({"code": 200001, "type": "SERVICES"}), Ok(Listing::Unchanged));
        check(json!({"code": 500000, "info": "store"}), Err("a trouble of its own"));
        check(json!({"code": 401001, "info": "token"}), Err("denied access"));
        check(json!({"code": 200000, "type": "INSTANCE", "services": []}), Err("is not SERVICES"));
        check(json!({"code": 200000, "services": []}), Err("is not SERVICES"));
        check(json!({}), Err("`code` is missing"));
        check(json!([]), Err("no list of services"));
    }

    #[test]
    fn services_of_another_namespace_are_none_of_ours() {
        let listed = json!([{"name": "a", "namespace": "other"}, {"name": "b"}]);
        let answer = json!({"code": 200000, "type": 6, "service": about("prod", json!("r")), "services": listed});
        let services = [("b".to_owned(), BTreeMap::new())].into();
        check(answer, Ok(Listing::Listed(Catalogue { revision: "r".into(), services })));
    }
}
