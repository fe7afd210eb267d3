//! Tells the owners of policies, by Events on them, what keeps one from being carried out: `kubectl describe` shows it.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use super::import::PolarisImport;
use super::policy::Policy;
use super::report::Report;
use crate::log_once::LogOnce;
use crate::telemetry::Events;

/// What was told of each policy.
pub struct PolicyEvents {
    events: Events,
    namespace: String,
    told: LogOnce<String>,
}

impl PolicyEvents {
    /// Tells of the policies of a namespace.
    pub fn new(events: Events, namespace: String) -> Self {
        Self { events, namespace, told: LogOnce::default() }
    }

    /// Tells of a policy that is not ready for another reason than before, or is ready again.
    pub fn tell(&mut self, policy: &Policy, report: &Report) {
        let (ready, reason, text) = report.words();
        if report.is_passing() {
            return;
        }
        // How many are refused matters, whatever the words on the first.
        if !ready && self.told.is_news(policy.name.clone(), (reason, report.refused.len())) {
            self.events.note(self.reference(policy), "Warning", reason, "Carry out the policy", &text);
        }
        if ready && self.told.end(&policy.name) {
            self.events.note(self.reference(policy), "Normal", reason, "Carry out the policy", &text);
        }
    }

    /// Forgets policies that are gone.
    pub fn retain(&mut self, there: impl Fn(&str) -> bool) {
        self.told.retain(|name| there(name));
    }

    fn reference(&self, policy: &Policy) -> ObjectReference {
        ObjectReference {
            api_version: Some(PolarisImport::api_version(&()).into_owned()),
            kind: Some(PolarisImport::kind(&()).into_owned()),
            name: Some(policy.name.clone()),
            namespace: Some(self.namespace.clone()),
            uid: Some(policy.uid.clone()),
            ..ObjectReference::default()
        }
    }
}
