//! Writes by server-side apply.

use std::time::Duration;

use kube::Client;
use kube::api::{Api, ApiResource, Patch, PatchParams};
use kube::core::Status;
use serde_json::json;

use crate::istio::{GROUP, KIND, MANAGER, PLURAL, ServiceEntry};
use crate::plan::{Apply, ApplyError};

/// The longest time that an apply may take; one with 4,096 endpoints takes under a second.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Applies to the ServiceEntries of an API server.
pub struct KubernetesSink {
    client: Client,
    resource: ApiResource,
}

impl KubernetesSink {
    /// Writes in this version of the API.
    pub fn new(client: Client, resource: ApiResource) -> Self {
        Self { client, resource }
    }

    pub(super) async fn apply(&self, apply: &Apply) -> Result<ServiceEntry, ApplyError> {
        // Contested fields were left out by the plan; what is in the body is ours by right.
        self.patch(apply, &PatchParams::apply(MANAGER).force()).await
    }

    /// The same with the server's own dry run.
    pub(super) async fn rehearse(&self, apply: &Apply) -> Result<(), ApplyError> {
        self.patch(apply, &PatchParams::apply(MANAGER).force().dry_run()).await.map(drop)
    }

    async fn patch(&self, apply: &Apply, parameters: &PatchParams) -> Result<ServiceEntry, ApplyError> {
        let mut body = apply.body();
        body["apiVersion"] = json!(self.resource.api_version);
        body["kind"] = json!(KIND);
        let api: Api<ServiceEntry> = Api::namespaced_with(self.client.clone(), &apply.namespace, &self.resource);
        let patch = Patch::Apply(&body);
        let request = api.patch(&apply.name, parameters, &patch);
        match tokio::time::timeout(TIMEOUT, request).await {
            Ok(Ok(mut entry)) => {
                entry.condense();
                Ok(entry)
            }
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(ApplyError::Unavailable { detail: format!("no answer within {TIMEOUT:?}") }),
        }
    }
}

/// The meaning of a refusal for the next try.
pub(crate) fn classify(error: &kube::Error) -> ApplyError {
    match error {
        kube::Error::Api(status) => by_status(status),
        error => ApplyError::Unavailable { detail: format!("{error}") },
    }
}

/// Sorts the API server's answers by what they mean for the next try. Some permanent refusals look like a sick server:
/// a malformed apply and an object over etcd's limit both answer 500.
fn by_status(status: &Status) -> ApplyError {
    let detail = format!("{} ({})", status.message, status.code);
    if denies(&status.message) {
        return ApplyError::Refused { detail };
    }
    match status.code {
        404 => ApplyError::Gone,
        409 if status.message.contains("uid mismatch") => ApplyError::Gone,
        409 => ApplyError::Stale,
        // An entry that was deleted and created anew has another uid, which cannot be changed.
        422 if names_field(status, "metadata.uid") => ApplyError::Gone,
        400 | 413 | 415 | 422 => ApplyError::Refused { detail },
        500 if REFUSALS.iter().any(|text| status.message.contains(text)) => ApplyError::Refused { detail },
        401 | 403 => {
            ApplyError::Forbidden { detail, remedy: format!("grant this identity the verb patch on {PLURAL}.{GROUP}") }
        }
        _ => ApplyError::Unavailable { detail },
    }
}

/// Whether an admission webhook or policy says no to the content. It says so by any code that it likes, that of a missing
/// right too, which no grant would mend.
fn denies(message: &str) -> bool {
    (message.starts_with("admission webhook ") && message.contains(" denied the request"))
        || (message.contains("ValidatingAdmissionPolicy '") && message.contains(" denied request"))
}

/// Texts of permanent refusals that come as 500.
const REFUSALS: [&str; 3] = ["failed to create typed patch object", "request is too large", "ResourceExhausted"];

fn names_field(status: &Status, field: &str) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.field == field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_answers_by_what_they_mean() {
        let refused = |code, message: &str| by_status(&Status { code, message: message.into(), ..Status::default() });
        let cases = [
            (404, "not found", "Gone"),
            (409, "Precondition failed: UID in precondition: uid mismatch: the provided object specified uid", "Gone"),
            (409, "the object has been modified; please apply your changes to the latest version", "Stale"),
            (422, "spec: Invalid value: NONE mode cannot set endpoints", "Refused"),
            (400, "admission webhook \"validation.istio.io\" denied the request: configuration is invalid", "Refused"),
            (403, "admission webhook \"a.b.c\" denied the request: not in this namespace", "Refused"),
            (403, "admission webhook \"a.b.c\" denied the request without explanation", "Refused"),
            (409, "admission webhook \"a.b.c\" denied the request: somebody has it", "Refused"),
            (404, "admission webhook \"a.b.c\" denied the request: no such host", "Refused"),
            (503, "admission webhook \"a.b.c\" denied the request: later", "Refused"),
            (422, "x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "Refused"),
            (403, "x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "Refused"),
            (500, "failed to create typed patch object (a/b): .spec.foo: field not declared in schema", "Refused"),
            (500, "etcdserver: request is too large", "Refused"),
            (500, "rpc error: code = ResourceExhausted desc = trying to send message larger than max", "Refused"),
            (413, "limit is 3145728", "Refused"),
            (500, "failed calling webhook \"validation.istio.io\": connection refused", "Unavailable"),
            (503, "apiserver is shutting down", "Unavailable"),
            (429, "too many requests", "Unavailable"),
            (403, "serviceentries is forbidden", "Forbidden"),
            (403, "x is forbidden: User \"a\" cannot patch resource \"serviceentries\"", "Forbidden"),
        ];
        for (code, message, expected) in cases {
            let error = format!("{:?}", refused(code, message));
            assert!(error.starts_with(expected), "{code} {message}: {error}");
        }
    }
}
