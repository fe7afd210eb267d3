//! The writes to ServiceEntries and Leases, read from the API server's audit log: the
//! one account of them that the program under test has no part in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::apiserver::service_entry;
use crate::poll::wait_for;

/// Only what is counted: writes, with what was sent, once each has been answered.
pub(super) const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: Request
    verbs: [create, update, patch, delete, deletecollection]
    resources:
      - group: networking.istio.io
        resources: [serviceentries, serviceentries/status]
      - group: coordination.k8s.io
        resources: [leases]
  - level: None
";

/// The name of the log in the server's directory.
pub(super) const LOG: &str = "audit.log";

const BARRIER: &str = "audit-barrier-";

/// A write that the API server has answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The entry's namespace.
    pub namespace: String,
    /// The entry's name.
    pub name: String,
    /// `serviceentries` or `leases`.
    pub resource: String,
    /// `status`, or empty for the entry itself.
    pub subresource: String,
    /// `create`, `update`, `patch` (an apply too), `delete` or `deletecollection`.
    pub verb: String,
    /// The user who sent it.
    pub user: String,
    /// The program that sent it, by its own account.
    pub user_agent: String,
    /// The request's path and query, with `fieldManager`, `force` and `dryRun`.
    pub uri: String,
    /// When the request arrived.
    pub received: Timestamp,
    /// When it was answered.
    pub answered: Timestamp,
    /// The HTTP status of the answer: 200 or 201 for what was done.
    pub code: u16,
    /// The body of the request: the object, the patch, the delete options.
    pub body: Value,
}

/// How often each program wrote: by namespace, name, user agent and verb.
pub fn count(writes: &[Write]) -> BTreeMap<(&str, &str, &str, &str), usize> {
    let mut counts = BTreeMap::new();
    for write in writes {
        let key = (&*write.namespace, &*write.name, &*write.user_agent, &*write.verb);
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// All writes to a namespace up to now. The server logs a write just after it
/// has answered it, so one is sent that does nothing (the entry that it patches
/// does not exist), and once that is in the log, so is what came before.
pub(super) async fn writes(client: &Client, directory: &Path, namespace: &str) -> Vec<Write> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let barrier = format!("{BARRIER}{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let entries: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &service_entry());
    let patch = Patch::Merge(json!({"metadata": {"labels": {"audit": "barrier"}}}));
    let answer = entries.patch(&barrier, &PatchParams::default(), &patch).await;
    assert!(
        matches!(&answer, Err(kube::Error::Api(status)) if status.code == 404),
        "an entry that does not exist cannot be patched, but: {answer:?}"
    );
    let log = directory.join(LOG);
    let deadline = Duration::from_secs(10);
    let all = wait_for("a write is in the audit log", deadline, || async {
        let all = read(&log);
        match all.iter().any(|write| write.name == barrier) {
            true => Ok(all),
            false => Err(format!("{} other writes", all.len())),
        }
    })
    .await;
    all.into_iter().filter(|write| write.namespace == namespace && !write.name.starts_with(BARRIER)).collect()
}

fn read(log: &Path) -> Vec<Write> {
    let log = fs::read_to_string(log).unwrap_or_default();
    // The server writes whole lines, but a reader may see half of one.
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole.lines().map(parse).collect()
}

fn parse(line: &str) -> Write {
    let mut event: Value = serde_json::from_str(line).expect("the audit log is lines of JSON");
    let text = |pointer| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let time = |pointer| text(pointer).parse().expect("an audit event has its times");
    let code = event.pointer("/responseStatus/code").and_then(Value::as_u64);
    Write {
        namespace: text("/objectRef/namespace"),
        name: text("/objectRef/name"),
        resource: text("/objectRef/resource"),
        subresource: text("/objectRef/subresource"),
        verb: text("/verb"),
        user: text("/user/username"),
        user_agent: text("/userAgent"),
        uri: text("/requestURI"),
        received: time("/requestReceivedTimestamp"),
        answered: time("/stageTimestamp"),
        code: code.and_then(|code| code.try_into().ok()).unwrap_or_default(),
        body: event["requestObject"].take(),
    }
}
