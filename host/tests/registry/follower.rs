//! A follower under test: what it wants, and what it reports.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use polaris2istio::registry::{
    HttpConfig, HttpRegistry, PollMode, Registry, RegistryError, Report, ServiceKey, ServiceUpdate, Wanted,
};
use polaris2istio_core::model::Service;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::fake::{DEADLINE, Fake};
use super::key;

/// Times short enough for a test.
pub(crate) fn quick(fakes: &[&Fake]) -> HttpConfig {
    let addresses: Vec<String> = fakes.iter().map(|fake| fake.address.to_string()).collect();
    HttpConfig {
        interval: Duration::from_millis(20),
        full_every: Duration::from_secs(3_600),
        recheck_after: Duration::from_secs(3_600),
        connect_timeout: Duration::from_secs(2),
        total_timeout: Duration::from_secs(5),
        backoff: (Duration::from_millis(10), Duration::from_millis(40)),
        limited_backoff: (Duration::from_millis(10), Duration::from_millis(40)),
        ..HttpConfig::new(addresses.join(",").parse().unwrap())
    }
}

pub(crate) struct Following {
    pub(crate) wanted: watch::Sender<Wanted>,
    pub(crate) pace: watch::Sender<PollMode>,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) task: JoinHandle<()>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn set(names: &[&str]) -> Wanted {
    Arc::new(names.iter().map(|name| key(name)).collect::<BTreeSet<ServiceKey>>())
}

/// Follows services of the namespace `shop`.
pub(crate) fn follow(registry: impl Registry, names: &[&str]) -> Following {
    let (wanted, receiver) = watch::channel(set(names));
    let (sender, reports) = mpsc::channel(1);
    let (pace, paced) = watch::channel(PollMode::default());
    let task = tokio::spawn(registry.follow(receiver, paced, sender));
    Following { wanted, pace, reports, task }
}

pub(crate) fn follow_http(config: HttpConfig, names: &[&str]) -> Following {
    follow(HttpRegistry::new(config).unwrap(), names)
}

impl Following {
    /// The next report.
    pub(crate) async fn next(&mut self) -> Report {
        timeout(DEADLINE, self.reports.recv()).await.expect("a report in time").expect("a follower at work")
    }

    /// The next report, which lists a service.
    pub(crate) async fn listed(&mut self, name: &str) -> Arc<Service> {
        let report = self.next().await;
        match report {
            Report { news: ServiceUpdate::Listed(service), service: ref whose, .. } if *whose == key(name) => service,
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
        assert!(matches!(report.news, ServiceUpdate::Missing), "{report:?}");
        assert_eq!(report.service, key(name));
    }

    /// The next report, which is a failure of this kind.
    pub(crate) async fn failed(&mut self, name: &str, kind: &str) -> Arc<RegistryError> {
        let report = self.next().await;
        let ServiceUpdate::Failed(error) = report.news else { panic!("no failure, but {report:?}") };
        assert_eq!((report.service, error.kind()), (key(name), kind), "{error}");
        error
    }

    pub(crate) fn quiet(&mut self) {
        if let Ok(report) = self.reports.try_recv() {
            panic!("unexpected: {report:?}");
        }
    }
}
