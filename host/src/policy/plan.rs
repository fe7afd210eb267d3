//! The steps that are needed so that every selected service has its entry, and no other entry is touched. Pure: the time is passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::claims::Claims;
use super::fields::{Field, Fields, body, difference, fields, port_names};
use super::head::Head;
use super::policy::Policy;
use super::report::{Report, Trouble};
use super::status::RefusedService;
use super::template::Made;
use super::vanish::Vanished;
use crate::annotation::{GONE_SINCE, POLICY};
use crate::percent::Percent;
use crate::registry::{Catalogue, ServiceKey};

/// The state of a namespace of the registry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The last sound answer.
    pub catalogue: Option<Arc<Catalogue>>,
    /// The question was not answered since then, so nothing is pruned.
    pub doubted: bool,
    /// The same, when it lasts, in words.
    pub trouble: Option<String>,
}

/// A write that the API server did not take.
#[derive(Clone, Debug, PartialEq)]
pub struct Denied {
    pub words: String,
    /// It is tried again.
    pub again: bool,
}

/// All that is looked at.
pub struct World<'a> {
    pub policies: &'a BTreeMap<String, Policy>,
    /// By namespace of the registry.
    pub catalogues: &'a BTreeMap<String, Known>,
    /// All entries of the namespace, by name.
    pub entries: &'a BTreeMap<String, Head>,
    /// Entries that the API server did not take.
    pub denied: &'a BTreeMap<String, Denied>,
    pub fleet_limit: Percent,
    /// Whether the kind of policies stays.
    pub kind_stays: bool,
    pub now: Timestamp,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub policy: String,
    /// The entry.
    pub name: String,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// An apply that makes an entry.
    Create(Value),
    /// An apply to an entry.
    Change(Value),
    /// The same, which only notes that the service is gone.
    Mark(Value),
    Delete {
        uid: String,
        resource_version: String,
    },
}

/// The steps to take, and the words on them.
#[derive(Debug, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub reports: BTreeMap<String, Report>,
    /// When time alone makes another plan.
    pub again: Option<Duration>,
}

/// Plans for all policies, the oldest first: it has the first claim on names and hosts.
pub fn plan(world: &World<'_>) -> Plan {
    let mut policies: Vec<_> = world.policies.values().collect();
    policies.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let mut plan = Plan::default();
    let mut claims = Claims::new(world.entries.values());
    for policy in policies {
        let report = plan.add(world, policy, &mut claims);
        plan.reports.insert(policy.name.clone(), report);
    }
    plan
}

impl Plan {
    fn add(&mut self, world: &World<'_>, policy: &Policy, claims: &mut Claims) -> Report {
        let own: Vec<_> = world.entries.values().filter(|head| head.policy.as_deref() == Some(&*policy.name)).collect();
        let mut report = Report { entries: own.len(), ..Report::default() };
        if policy.deleting.is_some() {
            self.prune_all(world, policy, &own, &mut report);
            return report;
        }
        if let Some(problem) = policy.fault.clone().or_else(|| policy.spec.problem()) {
            report.trouble = Some(Trouble::Invalid(problem));
            return report;
        }
        let known = world.catalogues.get(&policy.spec.polaris_namespace);
        let Some((known, catalogue)) = known.and_then(|known| Some((known, known.catalogue.as_deref()?))) else {
            let trouble = known.and_then(|known| known.trouble.clone());
            report.trouble = Some(trouble.map_or(Trouble::Waiting, Trouble::Registry));
            return report;
        };
        let wanted = self.wanted(world, policy, catalogue, claims, &mut report);
        let gone = own.into_iter().filter(|head| !wanted.contains(&head.name)).collect();
        self.prune(world, policy, gone, known, &mut report);
        report
    }

    /// Makes and changes the entries of the selected services. Returns their names, of refused ones too.
    fn wanted(
        &mut self,
        world: &World<'_>,
        policy: &Policy,
        catalogue: &Catalogue,
        claims: &mut Claims,
        report: &mut Report,
    ) -> BTreeSet<String> {
        let spec = &policy.spec;
        let mut names = BTreeSet::new();
        let selected = catalogue.services.iter().filter(|(name, metadata)| spec.select.selects(name, metadata));
        for (service, _) in selected {
            report.services += 1;
            let mut refuse = |reason: String| report.refused.push(RefusedService { service: service.clone(), reason });
            let made = match spec.template.make(&spec.polaris_namespace, service) {
                Ok(made) => made,
                Err(reason) => {
                    refuse(reason);
                    continue;
                }
            };
            let key = ServiceKey::new(&*spec.polaris_namespace, &**service);
            let there = world.entries.get(&made.name);
            if let Err(reason) = claims.claim(&policy.name, &key, &made, there) {
                report.conflicts += 1;
                refuse(reason);
                // One that is there already stays as it is.
                names.extend(claims.is_own(&made.name, &policy.name, &key).then_some(made.name));
                continue;
            }
            names.insert(made.name.clone());
            let denied = world.denied.get(&made.name);
            match denied {
                Some(Denied { words, .. }) => {
                    refuse(format!("the API server does not take ServiceEntry {}: {words}", made.name));
                }
                None => report.missing += usize::from(there.is_none()),
            }
            self.steps.extend(step(policy, &made, there).filter(|_| denied.is_none_or(|denied| denied.again)));
        }
        names
    }

    /// Deletes all entries of a policy that is being deleted, if it says so: whoever deletes it means them.
    fn prune_all(&mut self, world: &World<'_>, policy: &Policy, own: &[&Head], report: &mut Report) {
        report.gone = own.len();
        if !policy.prunes_all() || !world.kind_stays || own.is_empty() {
            return;
        }
        report.trouble = Some(Trouble::Deleting);
        let grace = policy.grace(world.now);
        if grace.is_zero() {
            self.steps.extend(own.iter().map(|head| delete(policy, head)));
        } else {
            self.again = self.again.into_iter().chain([grace]).min();
        }
    }

    fn prune(&mut self, world: &World<'_>, policy: &Policy, gone: Vec<&Head>, known: &Known, report: &mut Report) {
        report.gone = gone.len();
        report.trouble = known.trouble.clone().map(Trouble::Registry);
        if known.doubted {
            return;
        }
        let listed = |head: &Head| {
            let of = head.service.as_ref().filter(|service| service.namespace == policy.spec.polaris_namespace);
            of.is_some_and(|service| {
                known.catalogue.as_ref().is_some_and(|all| all.services.contains_key(&service.name))
            })
        };
        let vanished = Vanished {
            entries: gone,
            of: report.entries,
            selected: report.services,
            after: Some(policy.spec.prune_after()),
            limit: Some(policy.spec.prune_limit(world.fleet_limit)),
        };
        let next = vanished.next_due(world.now);
        self.again = self.again.into_iter().chain(next).min();
        let verdict = vanished.judge(world.now);
        report.trouble = verdict.held.map(Trouble::Held);
        self.steps.extend(verdict.marked.into_iter().map(|head| mark(policy, head, world.now)));
        // Endpoints of a service that is gone are there because the guard holds them, and its word counts.
        let due = verdict.due.into_iter().filter(|head| !head.has_endpoints || listed(head));
        self.steps.extend(due.map(|head| delete(policy, head)));
    }
}

/// The write that brings an entry in line with its template, if one is needed.
fn step(policy: &Policy, made: &Made, there: Option<&Head>) -> Option<Step> {
    let mut annotations = made.annotations.clone();
    annotations.insert(POLICY.into(), json!(policy.name));
    let wanted = fields(&made.labels, &annotations, &made.spec);
    let order = port_names(&made.spec);
    let action = match there {
        None => Action::Create(with_identity(body(&wanted, &order), &made.name, None)),
        Some(head) => {
            let apply = difference(&wanted, &head.fields, &head.owners)?;
            Action::Change(with_identity(body(&apply, &order), &made.name, Some(head)))
        }
    };
    Some(Step { policy: policy.name.clone(), name: made.name.clone(), action })
}

fn mark(policy: &Policy, head: &Head, now: Timestamp) -> Step {
    let ours = head.fields.iter().filter(|(field, _)| head.owners.are_ours(field));
    let mut fields: Fields = ours.map(|(field, value)| (field.clone(), value.clone())).collect();
    fields.insert(Field::Annotation(GONE_SINCE.into()), json!(now.strftime("%FT%TZ").to_string()));
    let body = with_identity(body(&fields, &head.ports), &head.name, Some(head));
    Step { policy: policy.name.clone(), name: head.name.clone(), action: Action::Mark(body) }
}

fn delete(policy: &Policy, head: &Head) -> Step {
    let action = Action::Delete { uid: head.uid.clone(), resource_version: head.resource_version.clone() };
    Step { policy: policy.name.clone(), name: head.name.clone(), action }
}

/// An apply to a new entry carries a version that no entry has: if there is one by now, that is a conflict, and it stays as it
/// is. One to an entry that is there carries its own, so that nothing is written over what was not seen.
fn with_identity(mut body: Value, name: &str, there: Option<&Head>) -> Value {
    body["metadata"]["name"] = json!(name);
    match there {
        Some(head) => {
            body["metadata"]["uid"] = json!(head.uid);
            body["metadata"]["resourceVersion"] = json!(head.resource_version);
        }
        None => body["metadata"]["resourceVersion"] = json!("1"),
    }
    body
}

#[cfg(test)]
mod tests;
