//! The only thing that watches an API server: each watch ends often, so that a dead connection is noticed, its waits after a
//! failure are short, and an object that cannot be read costs nothing but itself. (The waits were forgotten once, where
//! watches were built in several places.)

mod watched;

use std::fmt::Debug;
use std::time::Duration;

use futures::StreamExt;
use futures::future::ready;
use futures::stream::BoxStream;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::ResetTimerBackoff;
use kube::runtime::watcher::{Config, Event, Result, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::backoff::Backoff;
use crate::log_once::LogOnce;
use crate::title::title;

pub(crate) use watched::Watched;

/// How long one watch lasts, in seconds. The server ends it then, and it is resumed where it was; one that has not
/// ended five seconds later is given up, as its connection is dead. The default notices that after five minutes.
const LASTS: u32 = 60;

/// The shortest and longest wait after a failure, jitter included. The default's go to a minute, and who repairs an API server
/// waits for us.
const WAITS: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(10));

/// After this long without a failure, waits start small again.
const CALM: Duration = Duration::from_secs(120);

/// Watches the objects that `select` leaves, until the stream is dropped. A failure is an item, and the watch goes on after it.
/// An object that is not of its kind's form is logged once and passed over, so it stays as it was seen last.
pub(crate) fn watch<K>(
    api: Api<DeserializeGuard<K>>,
    select: impl FnOnce(Config) -> Config,
) -> BoxStream<'static, Result<Event<K>>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    #[allow(clippy::disallowed_methods, reason = "the one place that may")]
    let events = watcher(api, select(config()));
    let mut log = LogOnce::default();
    events.backoff(backoff()).filter_map(move |event| ready(readable(event, &mut log))).boxed()
}

/// The event without the guard, unless its object cannot be read.
fn readable<K: Resource>(
    event: Result<Event<DeserializeGuard<K>>>,
    log: &mut LogOnce<String>,
) -> Option<Result<Event<K>>> {
    let mut object = |DeserializeGuard(object): DeserializeGuard<K>| {
        let metadata = object.as_ref().map_or_else(|invalid| &invalid.metadata, K::meta);
        let name =
            title(metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default());
        match object {
            Ok(object) => {
                log.end(&name);
                Some(object)
            }
            Err(invalid) => {
                if log.is_news(name.clone(), &invalid.error) {
                    warn!(
                        object = name,
                        "it cannot be read and is passed over: {}; correct it, or the schema by which the API server took it",
                        invalid.error
                    );
                }
                None
            }
        }
    };
    Some(Ok(match event {
        Ok(Event::Apply(guarded)) => Event::Apply(object(guarded)?),
        Ok(Event::InitApply(guarded)) => Event::InitApply(object(guarded)?),
        Ok(Event::Delete(guarded)) => Event::Delete(object(guarded)?),
        Ok(Event::Init) => Event::Init,
        Ok(Event::InitDone) => Event::InitDone,
        Err(error) => return Some(Err(error)),
    }))
}

/// The same event of another form of its object.
pub(crate) fn map_event<K, T>(event: Event<K>, form: impl FnOnce(K) -> T) -> Event<T> {
    match event {
        Event::Apply(object) => Event::Apply(form(object)),
        Event::InitApply(object) => Event::InitApply(form(object)),
        Event::Delete(object) => Event::Delete(form(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

/// Whether an API server goes on having a kind. While its CRD is being deleted, it no longer offers to create objects of it,
/// and all objects go, which says nothing of any one of them.
pub(crate) async fn is_kept(client: &Client, api_version: &str, plural: &str) -> kube::Result<bool> {
    let kinds = client.list_api_group_resources(api_version).await?;
    Ok(kinds.resources.iter().any(|kind| kind.name == plural && kind.verbs.iter().any(|verb| verb == "create")))
}

fn config() -> Config {
    Config::default().timeout(LASTS)
}

fn backoff() -> ResetTimerBackoff<Backoff> {
    ResetTimerBackoff::new(Backoff::new(WAITS), CALM)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn no_wait_is_long_and_none_is_the_last() {
        let waits: Vec<Duration> = backoff().take(200).collect();
        assert_eq!(waits.len(), 200);
        assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(10)), "{waits:?}");
        assert!(waits[100..].iter().all(|wait| *wait >= Duration::from_secs(5)), "{waits:?}");
    }

    #[test]
    fn a_watch_that_is_silent_is_noticed() {
        assert!(config().timeout.is_some_and(|seconds| (1..=60).contains(&seconds)));
    }

    /// A ConfigMap; with a number among its data none can be read.
    fn map(name: &str, data: Value) -> Value {
        let metadata = json!({"name": name, "namespace": "shop", "resourceVersion": "7"});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": data}})
    }

    /// An API server that lists these, and tells of those when it is watched. Every connection is for one request.
    async fn server(listed: Vec<Value>, told: Vec<Value>) -> Api<DeserializeGuard<ConfigMap>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let list = json!({
            "apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "7"}, "items": listed,
        });
        let lines = told.into_iter().map(|event| format!("{event}\n")).collect::<String>();
        tokio::spawn(async move {
            loop {
                let mut stream = BufReader::new(listener.accept().await.unwrap().0);
                let mut request = String::new();
                while !request.ends_with("\r\n\r\n") {
                    stream.read_line(&mut request).await.unwrap();
                }
                let body = if request.contains("watch=true") { lines.clone() } else { list.to_string() };
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
        let config = kube::Config::new(address.parse().unwrap());
        Api::namespaced(kube::Client::try_from(config).unwrap(), "shop")
    }

    #[tokio::test]
    async fn an_object_that_cannot_be_read_stops_nothing() {
        let event = |kind: &str, object: Value| json!({"type": kind, "object": object});
        let listed = vec![map("a", json!("1")), map("bad", json!(1)), map("b", json!("1"))];
        let told = vec![
            event("MODIFIED", map("bad", json!([]))),
            event("DELETED", map("bad", json!({}))),
            event("MODIFIED", map("bad", json!("mended"))),
            event("ADDED", map("c", json!("1"))),
        ];
        let seen = watch(server(listed, told).await, |config| config).filter_map(|event| {
            ready(match event.unwrap() {
                Event::InitApply(map) | Event::Apply(map) => map.metadata.name,
                Event::InitDone => Some("all".into()),
                _ => None,
            })
        });
        let seen = tokio::time::timeout(Duration::from_secs(20), seen.take(5).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(seen, ["a", "b", "all", "bad", "c"]);
    }
}
