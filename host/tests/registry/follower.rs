//! A follower under test: what it wants, and what it reports.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use polaris2istio::registry::{
    Content, PolarisConfig, PolarisRegistry, Registry, RegistryError, Report, ServiceCache, ServiceKey, Subscription,
};
use polaris2istio_core::model::Service;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::fake::{DEADLINE, Fake};
use super::key;

/// Times short enough for a test.
pub(crate) fn quick(fakes: &[&Fake]) -> PolarisConfig {
    let addresses: Vec<String> = fakes.iter().map(|fake| format!("http://{}", fake.address)).collect();
    quick_at(&addresses.join(","))
}

/// The same for servers at these addresses.
pub(crate) fn quick_at(addresses: &str) -> PolarisConfig {
    PolarisConfig {
        interval: Duration::from_millis(20),
        rate: Some(NonZeroU32::MAX),
        full_every: Duration::from_secs(3_600),
        recheck_after: Duration::from_secs(3_600),
        connect_timeout: Duration::from_secs(2),
        total_timeout: Duration::from_secs(5),
        backoff: (Duration::from_millis(10), Duration::from_millis(40)),
        limited_backoff: (Duration::from_millis(10), Duration::from_millis(40)),
        ..PolarisConfig::new(addresses.parse().unwrap())
    }
}

pub(crate) struct Following {
    pub(crate) cache: Arc<ServiceCache>,
    subscriptions: BTreeMap<ServiceKey, Subscription>,
    pub(crate) task: JoinHandle<()>,
}

/// The matter of a report.
#[derive(Debug)]
pub(crate) enum Heard {
    Listed(Arc<Service>),
    Missing,
    Failed(Arc<RegistryError>),
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Follows services of the namespace `shop`.
pub(crate) fn follow(registry: impl Registry, names: &[&str]) -> Following {
    let (cache, queue) = ServiceCache::new();
    let task = tokio::spawn(registry.follow(queue));
    let mut following = Following { cache, subscriptions: BTreeMap::new(), task };
    following.want(names);
    following
}

pub(crate) fn follow_polaris(config: PolarisConfig, names: &[&str]) -> Following {
    follow(PolarisRegistry::new(config).unwrap(), names)
}

/// The matter of a report.
pub(crate) fn heard(report: &Report) -> Heard {
    match &report.state {
        state if !report.answered => Heard::Failed(Arc::clone(&state.trouble.as_ref().expect("some trouble").error)),
        state => match &state.last.as_ref().expect("an answer").content {
            Content::Listed(service) => Heard::Listed(Arc::clone(service)),
            Content::Missing => Heard::Missing,
        },
    }
}

impl Following {
    /// Follows these services of the namespace `shop` from now on, and no others.
    pub(crate) fn want(&mut self, names: &[&str]) {
        self.subscriptions.retain(|service, _| names.iter().any(|name| *service == key(name)));
        names.iter().for_each(|name| self.subscribe(key(name)));
    }

    /// Follows this service as well.
    pub(crate) fn subscribe(&mut self, service: ServiceKey) {
        let Self { cache, subscriptions, .. } = self;
        subscriptions.entry(service).or_insert_with_key(|service| cache.subscribe(service));
    }

    /// The next report.
    pub(crate) async fn next(&mut self) -> Report {
        timeout(DEADLINE, self.cache.next_report()).await.expect("a report in time")
    }

    /// The next report, which lists a service.
    pub(crate) async fn listed(&mut self, name: &str) -> Arc<Service> {
        let report = self.next().await;
        match heard(&report) {
            Heard::Listed(service) if *report.service == key(name) => service,
            other => panic!("not a list of {name}: {other:?}"),
        }
    }

    /// The next report, which lists a service's instances at these hosts.
    pub(crate) async fn hosts(&mut self, name: &str, expected: &[&str]) {
        let service = self.listed(name).await;
        let hosts: Vec<&str> = service.instances.iter().map(|instance| &*instance.host).collect();
        assert_eq!(hosts, expected, "of {name}");
    }

    /// The next report, which says that a service does not exist.
    pub(crate) async fn missing(&mut self, name: &str) {
        let report = self.next().await;
        assert!(matches!(heard(&report), Heard::Missing), "{report:?}");
        assert_eq!(*report.service, key(name));
    }

    /// The next report, which is a failure of this kind.
    pub(crate) async fn failed(&mut self, name: &str, kind: &str) -> Arc<RegistryError> {
        let report = self.next().await;
        let Heard::Failed(error) = heard(&report) else { panic!("no failure, but {report:?}") };
        assert_eq!((&*report.service, error.kind()), (&key(name), kind), "{error}");
        error
    }

    pub(crate) fn quiet(&mut self) {
        if let Some(report) = self.cache.next_report().now_or_never() {
            panic!("unexpected: {report:?}");
        }
    }
}
