//! Checks the part of the contract that types cannot say. It holds for every answer, whatever a case expects.

use polaris2istio_core::model::{Outcome, Request, Verdict};

use super::{CallError, LoadedModule};
use crate::istio::ServiceEntry;
use crate::plan::{AddressRule, Desired, check};

/// The breach of the contract by an outcome, in words; `None` if it keeps the contract.
///
/// The host's own rules, the same answer to the same question, endpoints that do not depend on the order of the instances,
/// and **unchanged** to a module's own content revision.
pub fn breach(
    module: &LoadedModule,
    request: &Request,
    outcome: &Outcome,
    live: &ServiceEntry,
    addresses: &AddressRule,
) -> Option<String> {
    let update = match &outcome.verdict {
        Verdict::Update(update) => update,
        Verdict::Unchanged if request.published.is_none() => {
            return Some("it says `unchanged` where no content revision is published".into());
        }
        Verdict::Unchanged | Verdict::Rejected => return differs(module, request, outcome),
    };
    let desired = Desired::of(update.clone(), &request.service);
    // What is wrong with the entry itself is no module's fault.
    if let Err(violation) = check(&desired, live, addresses)
        && !violation.of_entry
    {
        return Some(format!("the host would refuse this update: {violation}"));
    }
    differs(module, request, outcome).or_else(|| told_again(module, request, update.content_revision.as_deref()?))
}

/// The difference in the answer of another call, or with another order of the instances; `None` if there is none.
fn differs(module: &LoadedModule, request: &Request, outcome: &Outcome) -> Option<String> {
    match module.ask(request) {
        Ok(again) if again == *outcome => {}
        Ok(again) => {
            let text = |outcome: &Outcome| format!("{:#}", serde_json::json!(outcome));
            let (first, second) = (text(outcome), text(&again));
            let lines = first.lines().zip(second.lines()).find(|(first, second)| first != second);
            let (first, second) = lines.unwrap_or_default();
            return Some(format!(
                "asked the same twice, it says `{}` and `{}`; a module must not depend on anything but the request",
                first.trim(),
                second.trim()
            ));
        }
        Err(error) => return Some(trouble("asked the same again", &error)),
    }
    let mut reversed = request.clone();
    reversed.service.instances.reverse();
    let last = request.service.instances.len().saturating_sub(1) as u32;
    match module.ask(&reversed) {
        Ok(other) if content(other.verdict.clone(), |at| last.saturating_sub(at)) == content(outcome.verdict.clone(), |at| at) => None,
        Ok(_) => Some(
            "the answer depends on the order of the instances, which the registry does not keep; sort the endpoints, and \
             choose among instances by what they say"
                .into(),
        ),
        Err(error) => Some(trouble("asked with the instances in reverse", &error)),
    }
}

/// A verdict with its instances' positions mapped to those of the request.
fn content(mut verdict: Verdict, position: impl Fn(u32) -> u32) -> Verdict {
    if let Verdict::Update(update) = &mut verdict {
        for endpoint in &mut update.endpoints {
            endpoint.instances.iter_mut().for_each(|at| *at = position(*at));
            endpoint.instances.sort_unstable();
        }
    }
    verdict
}

/// Given the content revision that it just gave, a module has nothing to say.
fn told_again(module: &LoadedModule, request: &Request, revision: &str) -> Option<String> {
    let published = Request { published: Some(revision.to_owned()), ..request.clone() };
    match module.ask(&published) {
        Ok(Outcome { verdict: Verdict::Unchanged, .. }) => None,
        Ok(_) => Some(format!(
            "told that its own content revision `{revision}` is published, it does not say `unchanged`; compare \
             `published` with the revision of what you would answer, or give no content revision"
        )),
        Err(error) => Some(trouble("told its own content revision", &error)),
    }
}

fn trouble(when: &str, error: &CallError) -> String {
    format!("{when}: {error}")
}
