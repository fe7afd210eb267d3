//! A model of Polaris: services with what their owners registered, what the registry lists of it, and how it answers.
//!
//! It stands behind the follower's own seam, the one question and answer, so that schedule, fail-over, back-off and
//! subscriptions are the program's. Answers are texts as on the wire, and go through the program's decoder.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use polaris2istio::registry::{
    Ask, Catalogue, CatalogueSource, Decoded, Listing as Services, Question, RegistryError, ServiceKey, decode_answer,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::chance::Chance;
use crate::faults::{Line, RegistryFault};
use crate::journal::{Fate, Journal, Note, Place};
use crate::machine;

/// The namespace of all services.
pub(crate) const NAMESPACE: &str = "shop";

/// How long a question may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// An instance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instance {
    pub(crate) place: Place,
    pub(crate) fate: Fate,
}

/// Instances by their ids.
pub(crate) type Instances = BTreeMap<String, Instance>;

/// A listing of a service, under a revision of its own; `None` if there is no such service.
type Listing = (u64, Option<Arc<Instances>>);

#[derive(Default)]
struct Service {
    /// What the owners registered.
    registered: Instances,
    /// What is listed, over time: servers are apart.
    listings: Vec<(Duration, Listing)>,
}

/// The registry. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registry {
    state: Arc<Mutex<State>>,
    journal: Journal,
}

struct State {
    services: BTreeMap<String, Service>,
    revisions: u64,
    /// Ids, and the last part of addresses.
    numbers: u64,
    faults: Vec<RegistryFault>,
    chance: Chance,
    /// How far each server is behind.
    lags: [Duration; 2],
}

impl Registry {
    pub(crate) fn new(seed: u64, journal: Journal) -> Self {
        let mut chance = Chance::new(seed, 1);
        let lags = [Duration::from_millis(chance.between(0, 1000)), Duration::from_millis(chance.between(0, 1000))];
        let (services, faults) = (BTreeMap::new(), Vec::new());
        let state = State { services, revisions: 0, numbers: 0, faults, chance, lags };
        Self { state: Arc::new(Mutex::new(state)), journal }
    }

    /// Begins or ends faults.
    pub(crate) fn set_faults(&self, faults: Vec<RegistryFault>) {
        self.lock().faults = faults;
    }

    /// New instances of a service register.
    pub(crate) fn register(&self, service: &str, count: usize) {
        let ids: Vec<_> = {
            let mut state = self.lock();
            (0..count)
                .map(|_| {
                    state.numbers += 1;
                    state.numbers
                })
                .collect()
        };
        self.change(service, |instances| {
            for number in &ids {
                let place = (format!("10.{}.{}.{}", number / 60_000, number / 250 % 250, number % 250 + 1), 8080);
                instances.insert(format!("i-{number:05}"), Instance { place, fate: Fate::Fit });
            }
        });
    }

    /// The owners change what they have registered; the registry lists the same change.
    pub(crate) fn change(&self, service: &str, change: impl Fn(&mut Instances)) {
        let mut state = self.lock();
        let known = state.services.entry(service.to_owned()).or_default();
        change(&mut known.registered);
        let mut listed = known.listed().map(|listed| (*listed).clone()).unwrap_or_default();
        change(&mut listed);
        // Instances that the registry does not know cannot be changed in it.
        listed.retain(|id, _| known.registered.contains_key(id));
        let places = places(&known.registered);
        state.list(service, Some(listed), &self.journal);
        drop(state);
        self.journal.note(Note::Registered { service: service.into(), places });
    }

    /// The registry lists something else than was registered, or the same again.
    pub(crate) fn list(&self, service: &str, listing: impl FnOnce(&Instances) -> Option<Instances>) {
        if self.lock().services.contains_key(service) {
            let listing = listing(&self.registered(service));
            self.lock().list(service, listing, &self.journal);
        }
    }

    /// The listing of a service at an earlier time.
    pub(crate) fn listed_at(&self, service: &str, at: Duration) -> Option<Instances> {
        let state = self.lock();
        let (_, (_, listing)) = state.services.get(service)?.listings.iter().rev().find(|(since, _)| *since <= at)?;
        listing.as_ref().map(|listed| (**listed).clone())
    }

    /// Two services get each other's instances.
    pub(crate) fn swap(&self, one: &str, other: &str) {
        let registered = |service: &str| self.lock().services.get(service).map(|known| known.registered.clone());
        let (Some(first), Some(second)) = (registered(one), registered(other)) else { return };
        self.change(one, |instances| instances.clone_from(&second));
        self.change(other, |instances| instances.clone_from(&first));
        self.list(one, |registered| Some(registered.clone()));
        self.list(other, |registered| Some(registered.clone()));
    }

    pub(crate) fn services(&self) -> Vec<String> {
        self.lock().services.keys().cloned().collect()
    }

    /// What the owners registered.
    pub(crate) fn registered(&self, service: &str) -> Instances {
        self.lock().services.get(service).map(|known| known.registered.clone()).unwrap_or_default()
    }

    /// The answer for a service now; `None` if there is no such service.
    pub(crate) fn answer(&self, service: &str) -> Option<Value> {
        let state = self.lock();
        let (revision, listing) = state.services.get(service)?.listing_at(machine::elapsed());
        Some(body(service, revision, &*listing?))
    }

    /// All services that there are; a registry that knows none has no revision for that.
    fn catalogue(&self, at: Duration) -> Catalogue {
        let state = self.lock();
        let known = state.services.iter().filter(|(_, service)| service.listing_at(at).1.is_some());
        let services: BTreeMap<_, _> = known.map(|(name, _)| (name.clone(), BTreeMap::new())).collect();
        Catalogue { revision: services.keys().map(String::as_str).collect::<Vec<_>>().join("+"), services }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    fn listing_at(&self, at: Duration) -> Listing {
        let found = self.listings.iter().rev().find(|(since, _)| *since <= at).or(self.listings.first());
        found.map(|(_, listing)| listing.clone()).unwrap_or_default()
    }

    fn listed(&self) -> Option<Arc<Instances>> {
        self.listings.last()?.1.1.clone()
    }
}

impl State {
    fn list(&mut self, service: &str, listing: Option<Instances>, journal: &Journal) {
        let known = self.services.entry(service.to_owned()).or_default();
        if !known.listings.is_empty() && known.listed().as_deref() == listing.as_ref() {
            return;
        }
        self.revisions += 1;
        let places = listing.as_ref().map(places);
        known.listings.push((machine::elapsed(), (self.revisions, listing.map(Arc::new))));
        journal.note(Note::Listed { service: service.into(), places });
    }
}

fn places(instances: &Instances) -> BTreeMap<Place, Fate> {
    instances.values().map(|instance| (instance.place.clone(), instance.fate)).collect()
}

fn body(service: &str, revision: u64, instances: &Instances) -> Value {
    let instance = |(id, Instance { place: (host, port), fate }): (&String, &Instance)| {
        json!({
            "id": id, "service": service, "namespace": NAMESPACE, "host": host, "port": port, "protocol": "http",
            "weight": 100, "healthy": *fate != Fate::Unhealthy, "isolate": *fate == Fate::TakenOut, "metadata": {},
        })
    };
    json!({
        "code": 200000, "info": "execute success", "type": "INSTANCE",
        "service": {"name": service, "namespace": NAMESPACE, "revision": format!("r{revision}")},
        "instances": instances.iter().map(instance).collect::<Vec<_>>(),
    })
}

/// The way of one replica's questions to the registry.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) registry: Registry,
    pub(crate) line: Line,
}

impl Ask for Asker {
    async fn ask(&self, question: &Question) -> Result<Decoded, RegistryError> {
        match tokio::time::timeout(PATIENCE, self.answer(question)).await {
            Ok(answer) => answer,
            Err(_) => Err(RegistryError::TimedOut {
                service: (*question.service).clone(),
                address: question.address.to_string(),
                after: PATIENCE,
            }),
        }
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}

impl CatalogueSource for Asker {
    fn list<'a>(&'a self, namespace: &'a str, revision: &'a str) -> BoxFuture<'a, Result<Services, RegistryError>> {
        Box::pin(async move {
            let all = ServiceKey::new(namespace, "*");
            let late = RegistryError::TimedOut { service: all.clone(), address: "first:8090".into(), after: PATIENCE };
            tokio::time::timeout(PATIENCE, self.services(all, revision)).await.unwrap_or(Err(late))
        })
    }
}

impl Asker {
    /// What a policy is told.
    async fn services(&self, all: ServiceKey, revision: &str) -> Result<Services, RegistryError> {
        self.line.whole().await;
        let Way { delay, age, fault } = self.way();
        sleep(delay).await;
        if let Some(fault) = fault {
            return Err(fault.error(all, "first:8090".into()).await);
        }
        let catalogue = self.registry.catalogue(machine::elapsed().saturating_sub(age));
        sleep(delay).await;
        let same = !revision.is_empty() && revision == catalogue.revision;
        Ok(if same { Services::Unchanged } else { Services::Listed(catalogue) })
    }

    async fn answer(&self, question: &Question) -> Result<Decoded, RegistryError> {
        self.line.whole().await;
        let service = &question.service.name;
        let Way { delay, age, fault } = self.way();
        sleep(delay).await;
        let cuts = matches!(fault, Some(RegistryFault::Cuts(_)));
        if let Some(fault) = fault.filter(|_| !cuts) {
            return Err(fault.error((*question.service).clone(), question.address.to_string()).await);
        }
        let request: Value = serde_json::from_slice(&question.body()).expect("a question in JSON");
        let known = request["service"]["revision"].as_str().unwrap_or_default();
        let server = usize::from(question.address.to_string().contains("second"));
        let (revision, listing) = {
            let state = self.registry.lock();
            let at = machine::elapsed().saturating_sub(state.lags[server] + age);
            state.services.get(&**service).map(|known| known.listing_at(at)).unwrap_or_default()
        };
        // The answer is on its way for as long as the question was.
        sleep(delay).await;
        if listing.is_some() && known == format!("r{revision}") && !cuts {
            return Ok(Decoded::Unchanged);
        }
        let body = match &listing {
            Some(listing) => body(service, revision, listing),
            None => json!({"code": 400202, "info": "not found service", "type": "INSTANCE",
                "service": {"name": service, "namespace": NAMESPACE}}),
        };
        let text = body.to_string();
        let arrives = if cuts { text.len() * 2 / 3 } else { text.len() };
        let answer = decode_answer(&text.as_bytes()[..arrives], service)?;
        Ok(Decoded::Answer(answer.content, Some(answer.service)))
    }

    fn way(&self) -> Way {
        let mut state = self.registry.lock();
        let State { faults, chance, .. } = &mut *state;
        let mut way = Way { delay: Duration::from_millis(chance.between(1, 15)), age: Duration::ZERO, fault: None };
        for fault in faults.iter() {
            match fault {
                RegistryFault::Slow(most) => way.delay += Duration::from_millis(chance.between(0, *most)),
                RegistryFault::Old(most) => way.age += Duration::from_millis(chance.between(0, *most)),
                fault if chance.percent(fault.share()) => return Way { fault: Some(*fault), ..way },
                _ => {}
            }
        }
        way
    }
}

/// What becomes of a question.
struct Way {
    /// How long it takes either way.
    delay: Duration,
    /// How old the answer is.
    age: Duration,
    fault: Option<RegistryFault>,
}
