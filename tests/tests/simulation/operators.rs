//! People and other controllers: what they do to entries, to the shared state and to each other's fields.

use std::time::Duration;

use polaris2istio::rollout::{Command, CommandRequest, Forwarded, Giver, Paused, SharedState};
use serde_json::{Value, json};

use crate::api_server::{ApiServer, ENTRIES};
use crate::faults::stranger;
use crate::replicas::STATE;

/// The resource of policies, and the name of the one that there is.
pub(crate) const IMPORTS: &str = "polarisimports";
pub(crate) const IMPORT: &str = "all";

/// How the names of its entries end.
pub(crate) const MADE: &str = "-made";

/// How long a service is gone before its entry goes.
pub(crate) const PRUNED_AFTER: Duration = Duration::from_secs(30);

/// An annotation that a person may set on an entry, or take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Annotation {
    Paused,
    /// Asks for a protocol that no instance has.
    OddProtocol,
    /// Means nothing to anybody here.
    Team,
}

impl Annotation {
    pub(crate) const ALL: [Self; 3] = [Self::Paused, Self::OddProtocol, Self::Team];

    fn key(self) -> &'static str {
        match self {
            Self::Paused => "aeraki.net/paused",
            Self::OddProtocol => "aeraki.net/protocol",
            Self::Team => "example.com/team",
        }
    }

    fn value(self) -> &'static str {
        match self {
            Self::Paused => "true",
            Self::OddProtocol => "dubbo",
            Self::Team => "shop",
        }
    }
}

/// What operators can do.
pub(crate) struct Operators {
    pub(crate) api: ApiServer,
    commands: u64,
}

impl Operators {
    pub(crate) fn new(api: ApiServer) -> Self {
        Self { api, commands: 0 }
    }

    /// Creates an entry, if there is none of the name.
    pub(crate) fn create(&self, name: &str, service: &str, declared: bool) {
        let mut entry = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {
                "labels": {"manager": "aeraki", "registry": "polaris"},
                "annotations": {
                    "aeraki.net/polarisNamespace": crate::registry::NAMESPACE, "aeraki.net/polarisService": service,
                },
            },
            "spec": {"hosts": [format!("{name}.example")], "resolution": "STATIC"},
        });
        if declared {
            entry["spec"]["ports"] = json!([{"name": "http", "number": 80, "protocol": "HTTP"}]);
        }
        // One that is there already stays.
        let _ = self.api.create(ENTRIES, name, entry);
    }

    /// All who own entries create those of these that are missing.
    pub(crate) fn create_missing(&self, entries: &[(String, String, bool)]) {
        entries.iter().for_each(|(name, service, declared)| self.create(name, service, *declared));
    }

    /// Creates the policy that makes an entry for each service, or deletes it.
    pub(crate) fn import(&self, wanted: bool) {
        if !wanted {
            return self.api.delete(IMPORTS, IMPORT);
        }
        let policy = json!({
            "apiVersion": "polaris2istio.aeraki.net/v1alpha1", "kind": "PolarisImport", "metadata": {"generation": 1},
            "spec": {
                "polarisNamespace": crate::registry::NAMESPACE,
                "template": {"name": format!("{{service}}{MADE}"), "hosts": ["{service}.made"]},
                "prune": {"after": format!("{}s", PRUNED_AFTER.as_secs())},
            },
        });
        // One that is there already stays.
        let _ = self.api.create(IMPORTS, IMPORT, policy);
    }

    pub(crate) fn edit_import(&self, text: u64) {
        self.api.edit(IMPORTS, IMPORT, "kubectl-edit", |policy| {
            policy["metadata"]["generation"] = json!(text);
            policy["spec"]["template"]["annotations"] = json!({"example.com/template": text.to_string()});
        });
    }

    pub(crate) fn delete(&self, name: &str) {
        self.api.delete(ENTRIES, name);
    }

    /// Deletes an entry and creates it anew in the same moment, perhaps under another name.
    pub(crate) fn recreate(&self, name: &str, new: &str) {
        let Some(service) = self.service(name) else { return };
        self.delete(name);
        self.create(new, &service, true);
    }

    pub(crate) fn service(&self, name: &str) -> Option<String> {
        let entry = self.api.get(ENTRIES, name)?;
        Some(entry["metadata"]["annotations"]["aeraki.net/polarisService"].as_str()?.to_owned())
    }

    pub(crate) fn point(&self, name: &str, service: &str) {
        self.edit(name, |entry| entry["metadata"]["annotations"]["aeraki.net/polarisService"] = json!(service));
    }

    pub(crate) fn swap(&self, one: &str, other: &str) {
        let (Some(first), Some(second)) = (self.service(one), self.service(other)) else { return };
        self.point(one, &second);
        self.point(other, &first);
    }

    pub(crate) fn label(&self, name: &str, labelled: bool) {
        let manager = if labelled { "aeraki" } else { "nobody" };
        self.edit(name, |entry| entry["metadata"]["labels"]["manager"] = json!(manager));
    }

    pub(crate) fn annotate(&self, name: &str, annotation: Annotation, set: bool) {
        self.edit(name, |entry| {
            if set {
                entry["metadata"]["annotations"][annotation.key()] = json!(annotation.value());
            } else if let Some(all) = entry["metadata"]["annotations"].as_object_mut() {
                all.remove(annotation.key());
            }
        });
    }

    /// Another controller writes what is ours.
    pub(crate) fn meddle(&self, name: &str) {
        let (address, port) = stranger();
        self.api.edit(ENTRIES, name, "stranger", |entry| {
            entry["spec"]["endpoints"] = json!([{"address": address, "ports": {"http": port}}]);
        });
    }

    /// Something takes our annotations away.
    pub(crate) fn strip(&self, name: &str) {
        self.api.edit(ENTRIES, name, "stranger", |entry| {
            if let Some(all) = entry["metadata"]["annotations"].as_object_mut() {
                all.retain(|key, _| !key.starts_with("polaris2istio.") && key != "aeraki.net/revision");
            }
        });
    }

    /// Somebody who is no replica takes the lease, if there is one, and renews it until a moment before this time is over.
    pub(crate) fn usurp(&self, time: Duration) {
        let renewed = jiff::Timestamp::now() + time - Duration::from_millis(500);
        self.api.edit("leases", "lease", "stranger", |lease| {
            lease["spec"]["holderIdentity"] = json!("replica-of-others");
            lease["spec"]["renewTime"] = json!(format!("{renewed:.6}"));
        });
    }

    fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.api.edit(ENTRIES, name, "kubectl-edit", change);
    }

    /// Pauses all writes, or lets them go on.
    pub(crate) fn pause(&self, paused: bool) {
        let since = jiff::Timestamp::now();
        self.state(|state| state.paused = paused.then(|| Paused { since, reason: "in the simulation".into() }));
    }

    /// A command, by way of the shared state, as any replica passes it on.
    pub(crate) fn module(&mut self, command: Command) {
        self.commands += 1;
        let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(60);
        let (id, command) = (self.commands, Forwarded::Module(command));
        let request = CommandRequest { id, until, by: Giver::default(), command };
        self.state(|state| state.request = Some(request.clone()));
    }

    /// Goes back to the module that was active before.
    pub(crate) fn roll_back(&mut self) {
        let mut before = None;
        let map = self.api.get("configmaps", STATE).unwrap_or_default();
        if let Some(text) = map["data"]["state.json"].as_str()
            && let Ok(state) = serde_json::from_str::<SharedState>(text)
        {
            before = state.module.earlier.first().map(|record| record.identity.handle());
        }
        if let Some(before) = before {
            self.module(Command::Rollback(before.parse().expect("a handle names a module")));
        }
    }

    fn state(&self, change: impl Fn(&mut SharedState)) {
        self.api.edit("configmaps", STATE, "person", |map| {
            let Some(text) = map["data"]["state.json"].as_str() else { return };
            let Ok(mut state) = serde_json::from_str::<SharedState>(text) else { return };
            change(&mut state);
            map["data"]["state.json"] = json!(serde_json::to_string(&state).expect("a document"));
        });
    }

    /// Takes away a shared state that nobody can read, as its error asks for.
    pub(crate) fn mend_state(&self) {
        let map = self.api.get("configmaps", STATE).unwrap_or_default();
        let text = map["data"]["state.json"].as_str().unwrap_or_default();
        if serde_json::from_str::<SharedState>(text).is_err() {
            self.api.delete("configmaps", STATE);
        }
    }

    /// Spoils the shared state, or takes it away.
    pub(crate) fn spoil_state(&self, lose: bool) {
        if lose {
            self.api.delete("configmaps", STATE);
        } else {
            self.api.edit("configmaps", STATE, "person", |map| map["data"]["state.json"] = json!("{\"module\": 7"));
        }
    }
}
