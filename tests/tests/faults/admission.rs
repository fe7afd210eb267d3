//! Faults of what is asked about each write: admission webhooks and policies.

use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Value, json};

use super::row::Row;
use super::stage::Stage;
use super::webhook::Webhook;

/// How long a fault is held.
const HELD: Duration = Duration::from_secs(6);

/// An address on which no process listens.
const NOWHERE: &str = "https://127.0.0.1:9/validate";

/// The rows.
pub(crate) const ROWS: [Row; 4] = [
    Row::new("API server: webhook unreachable", |stage| unreachable(stage).boxed_local()).backs_off(),
    Row::new("API server: webhook refusing, 400", |stage| refusing(stage, 400).boxed_local()).backs_off(),
    // The code of a missing right as well, which it is not.
    Row::new("API server: webhook refusing, 403", |stage| refusing(stage, 403).boxed_local()).backs_off(),
    Row::new("API server: policy refusing, 403", |stage| policy(stage).boxed_local()).backs_off(),
];

/// A webhook that must be asked and does not answer.
async fn unreachable(stage: &mut Stage<'_>) {
    webhook(stage, &json!({"url": NOWHERE}), "not available: Internal error occurred: failed calling webhook").await;
}

/// A webhook that answers, and says no.
async fn refusing(stage: &mut Stage<'_>, code: u16) {
    let server = Webhook::start(code).await;
    webhook(stage, &server.client_config(), "refused for good: admission webhook").await;
}

/// Asks this webhook about the controller's writes alone, and shows that the log says what it came to.
async fn webhook(stage: &mut Stage<'_>, client_config: &Value, words: &str) {
    let name = stage.world.namespace.clone();
    let webhook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{
            "name": "refusing.polaris2istio.aeraki.net",
            "clientConfig": client_config,
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 1,
            "rules": [{
                "apiGroups": ["networking.istio.io"], "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"], "resources": ["serviceentries"],
            }],
            "matchConditions": [{"name": "ours", "expression": ours(stage)}],
        }],
    });
    stage.servers.api.apply(&[webhook], false).await;
    not_written(stage, words).await;
    stage.servers.api.kubectl(&["delete", "validatingwebhookconfiguration", &name], "").await;
}

/// A policy that refuses the controller's writes.
async fn policy(stage: &mut Stage<'_>) {
    let name = stage.world.namespace.clone();
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["networking.istio.io"], "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"], "resources": ["serviceentries"],
            }]},
            "matchConditions": [{"name": "ours", "expression": ours(stage)}],
            "validations": [{"expression": "false", "reason": "Forbidden", "message": "a fault that the tests inject"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    stage.servers.api.apply(&[policy, binding], false).await;
    not_written(stage, "refused for good: serviceentries").await;
    stage
        .servers
        .api
        .kubectl(&["delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", &name], "")
        .await;
}

/// The controller of this row, and no other, in a policy's language.
fn ours(stage: &Stage<'_>) -> String {
    format!("request.userInfo.username.startsWith('system:serviceaccount:{}:')", stage.world.release.namespace)
}

/// Holds the stage while writes are refused. The log names the cause, so that the operator seeks no missing right.
async fn not_written(stage: &mut Stage<'_>, words: &str) {
    stage.hold(HELD).await;
    Stage::says(&stage.controller, words).await;
    assert_eq!(stage.controller.said(&["grant this identity"]), 0, "no right is missing");
}
