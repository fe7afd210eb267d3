//! Requests of replicas: what is asked for, what goes wrong on the way, and what is done.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tower_service::Service;

use super::answer::{self, Answer};
use super::object::Object;
use super::watches::Selection;
use super::{ApiServer, ENTRIES, Refusal};
use crate::faults::{ApiFault, CONNECTION, Line};
use crate::journal::{Note, Writer};
use crate::machine;
use crate::operators::IMPORTS;

/// A request that takes so much longer than it should was sent by a replica that stood still.
const FROZEN: Duration = Duration::from_secs(2);

/// The API server as one replica reaches it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(super) api: ApiServer,
    pub(super) replica: usize,
    pub(super) line: Line,
}

impl Service<Request<Body>> for Server {
    type Response = Answer;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, std::io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            // A connection over which nothing comes is given up by the client's own bounds.
            match timeout(CONNECTION, server.answer(request)).await {
                Ok(answer) => Ok(answer),
                Err(_) => Err(std::io::Error::other("the connection was lost")),
            }
        })
    }
}

/// A request, taken apart.
struct Asked {
    method: Method,
    resource: String,
    name: Option<String>,
    query: Vec<(String, String)>,
    body: Value,
}

impl Asked {
    async fn read(request: Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let mut path = parts.uri.path().split('/').skip_while(|part| *part != "namespaces").skip(2);
        let query = parts.uri.query().unwrap_or_default();
        Self {
            method: parts.method,
            resource: path.next().unwrap_or_default().into(),
            name: path.next().map(str::to_owned),
            query: pairs(query),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        }
    }

    fn query(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    fn selection(&self) -> Selection {
        let pairs = |text: &str| -> Vec<(String, String)> {
            let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let name = pairs(self.query("fieldSelector").unwrap_or_default()).into_iter().map(|(_, name)| name).next();
        Selection {
            resource: self.resource.clone(),
            labels: pairs(self.query("labelSelector").unwrap_or_default()),
            name,
        }
    }

    fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

impl Server {
    async fn answer(&self, request: Request<Body>) -> Answer {
        let path = request.uri().path().to_owned();
        let asked = Asked::read(request).await;
        self.line.whole().await;
        let (delay, fault) = self.fate(&asked);
        let sent = machine::elapsed();
        sleep(delay).await;
        if machine::elapsed() > sent + delay + FROZEN {
            // The replica was frozen, and its connections are gone.
            return std::future::pending().await;
        }
        if let Some(ApiFault::Answers(code, _)) = fault {
            self.note_fault(&asked);
            return answer::refusal((code, "in the simulation".into()));
        }
        let answer = self.perform(&path, &asked);
        if matches!(fault, Some(ApiFault::ForgetsToAnswer(_))) {
            self.note_fault(&asked);
            return std::future::pending().await;
        }
        sleep(delay).await;
        self.line.whole().await;
        answer
    }

    fn note_fault(&self, asked: &Asked) {
        if let Some(name) = asked.name.clone().filter(|_| asked.resource == ENTRIES) {
            self.api.journal.note(Note::Faulted { name });
        }
    }

    fn fate(&self, asked: &Asked) -> (Duration, Option<ApiFault>) {
        let mut state = self.api.lock();
        let super::State { faults, chance, .. } = &mut *state;
        let mut delay = Duration::from_millis(chance.between(1, 10));
        for fault in faults.iter() {
            match fault {
                ApiFault::Slow(most) => delay += Duration::from_millis(chance.between(0, *most)),
                ApiFault::Answers(_, share) | ApiFault::ForgetsToAnswer(share)
                    if asked.is_write() && chance.percent(*share) =>
                {
                    return (delay, Some(*fault));
                }
                _ => {}
            }
        }
        (delay, None)
    }

    fn perform(&self, path: &str, asked: &Asked) -> Answer {
        if asked.resource == ENTRIES && !self.api.has_crd() {
            return answer::refusal((404, "the server could not find the requested resource".into()));
        }
        match (&asked.method, asked.resource.as_str(), &asked.name) {
            (&Method::GET, "", _) => discovery(path, self.api.has_crd()),
            (&Method::GET, _, None) if asked.query("watch") == Some("true") => self.watch(asked),
            (&Method::GET, _, None) => {
                let (items, version) = self.api.list(&asked.selection());
                answer::object(&json!({
                    "kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version.to_string()}, "items": items,
                }))
            }
            (&Method::GET, resource, Some(name)) => match self.api.get(resource, name) {
                Some(object) => answer::object(&object),
                None => answer::refusal((404, format!("{resource} \"{name}\" not found"))),
            },
            (&Method::POST, "events", _) => self.event(asked.body.clone()),
            (&Method::PATCH, "events", Some(name)) => self.event_again(name),
            (&Method::POST, resource, _) => {
                let name = asked.body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                done(self.api.create(resource, &name, asked.body.clone()))
            }
            (&Method::PUT, resource, Some(name)) => done(self.replace(resource, name, asked)),
            (&Method::PATCH, ENTRIES, Some(name)) => done(self.apply(name, asked)),
            (&Method::PATCH, IMPORTS, Some(name)) => done(self.tell(name, asked)),
            (&Method::DELETE, resource, Some(name)) => {
                let by = Writer::Replica(self.replica);
                done(self.api.delete_by(&by, resource, name, &asked.body["preconditions"]))
            }
            (method, ..) => panic!("a request that the model does not know: {method} {path}"),
        }
    }

    fn watch(&self, asked: &Asked) -> Answer {
        let lasts = asked.query("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(290);
        let streamed = asked.query("sendInitialEvents") == Some("true");
        let from = asked.query("resourceVersion").and_then(|version| version.parse().ok()).filter(|_| !streamed);
        let watch = self.api.watch(asked.selection(), from, Duration::from_secs(lasts), self.line.clone());
        answer::stream(watch)
    }

    fn replace(&self, resource: &str, name: &str, asked: &Asked) -> Result<Value, Refusal> {
        let changed = self.api.change(resource, name, &Writer::Replica(self.replica), |object| {
            same_version(object, &asked.body)?;
            let known = object.value["metadata"].clone();
            object.value = asked.body.clone();
            for key in ["uid", "resourceVersion", "namespace"] {
                object.value["metadata"][key] = known[key].clone();
            }
            Ok(())
        });
        changed.map(|(object, _)| object)
    }

    fn apply(&self, name: &str, asked: &Asked) -> Result<Value, Refusal> {
        if self.api.lock().faults.contains(&ApiFault::Refuses) {
            return Err((400, "admission webhook \"simulation.example\" denied the request: not now".into()));
        }
        let manager = asked.query("fieldManager").unwrap_or_default();
        // The controller's own applies name the uid of an entry, and so never create one.
        if asked.body["metadata"]["uid"].is_null() && self.api.get(ENTRIES, name).is_none() {
            return self.api.create_by(&Writer::Replica(self.replica), manager, ENTRIES, name, asked.body.clone());
        }
        let (object, changed) = self.api.change(ENTRIES, name, &Writer::Replica(self.replica), |object| {
            if asked.body["metadata"]["uid"] != object.value["metadata"]["uid"] {
                return Err((409, "Precondition failed: uid mismatch".into()));
            }
            same_version(object, &asked.body)?;
            object.apply(manager, &asked.body);
            let spec = &object.value["spec"];
            if spec["endpoints"].as_array().is_some()
                && ["NONE", "null"].contains(&spec["resolution"].as_str().unwrap_or("null"))
            {
                return Err((422, "spec: Invalid value: NONE mode cannot set endpoints".into()));
            }
            Ok(())
        })?;
        if !changed {
            self.api.journal.note(Note::Idle { name: name.into() });
        }
        Ok(object)
    }

    /// The status of a policy.
    fn tell(&self, name: &str, asked: &Asked) -> Result<Value, Refusal> {
        let changed = self.api.change(IMPORTS, name, &Writer::Replica(self.replica), |object| {
            let mut status = asked.body["status"].clone();
            status.as_object_mut().into_iter().for_each(|status| status.retain(|_, value| !value.is_null()));
            object.value["status"] = status;
            Ok(())
        });
        changed.map(|(object, _)| object)
    }

    fn event(&self, event: Value) -> Answer {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        self.api.journal.note(Note::Event {
            entry: text("/regarding/name"),
            uid: text("/regarding/uid"),
            action: text("/action"),
            over: text("/reason") == "Recovered",
            text: text("/note"),
        });
        self.api.lock().told.insert(text("/metadata/name"), event.clone());
        answer::object(&event)
    }

    /// An Event that is said once more, as a series.
    fn event_again(&self, name: &str) -> Answer {
        let known = self.api.lock().told.get(name).cloned();
        match known {
            Some(event) => self.event(event),
            None => answer::refusal((404, format!("events \"{name}\" not found"))),
        }
    }
}

/// The pairs of a query, decoded.
fn pairs(query: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://simulation/?{query}")).expect("a query");
    url.query_pairs().into_owned().collect()
}

fn same_version(object: &Object, body: &Value) -> Result<(), Refusal> {
    let (asked, known) = (&body["metadata"]["resourceVersion"], &object.value["metadata"]["resourceVersion"]);
    if asked == known {
        return Ok(());
    }
    Err((
        409,
        "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version"
            .into(),
    ))
}

fn done(result: Result<Value, Refusal>) -> Answer {
    result.map_or_else(answer::refusal, |object| answer::object(&object))
}

/// What there is, as clients discover it.
fn discovery(path: &str, has_crd: bool) -> Answer {
    let version = json!({"groupVersion": "networking.istio.io/v1", "version": "v1"});
    let group = json!({"name": "networking.istio.io", "versions": [version], "preferredVersion": version});
    let groups: Vec<_> = has_crd.then_some(group).into_iter().collect();
    let entry = json!({
        "name": ENTRIES, "singularName": "serviceentry", "namespaced": true, "kind": "ServiceEntry",
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    });
    match path {
        "/apis" | "/apis/" => answer::object(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})),
        "/api" => answer::object(&json!({"kind": "APIVersions", "versions": [], "serverAddressByClientCIDRs": []})),
        "/apis/networking.istio.io/v1" => answer::object(&json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "networking.istio.io/v1", "resources": [entry]})),
        path => panic!("a path that the model does not know: {path}"),
    }
}
