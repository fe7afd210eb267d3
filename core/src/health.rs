//! Unhealthy instances go, unless that would leave nothing.

use crate::diagnostic::{Code, Diagnostics};
use crate::fitness::Candidate;
use crate::model::Subject;

/// Leaves out the unhealthy ones while a healthy one remains; else all stay. Polaris's own SDKs do the same
/// (`enableRecoverAll`): when all look sick, the check is likelier sick than the service.
pub(crate) fn select(candidates: &mut Vec<Candidate<'_>>, diagnostics: &mut Diagnostics) {
    if candidates.is_empty() {
        return;
    }
    if !candidates.iter().any(|candidate| candidate.instance.healthy) {
        diagnostics.add(
            Code::RecoverAll,
            Subject::Service,
            format!(
                "none of the {} instances that could take traffic is healthy, so all of them stay",
                candidates.len()
            ),
            "See why their health checks or heartbeats fail.",
        );
        return;
    }
    candidates.retain(|candidate| {
        if !candidate.instance.healthy {
            diagnostics.add(
                Code::InstanceUnhealthy,
                candidate.subject(),
                format!("{} is unhealthy, while others are healthy", candidate.name()),
                "",
            );
        }
        candidate.instance.healthy
    });
}
