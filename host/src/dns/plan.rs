//! The steps by which a namespace gets the objects that it should have; none if it has them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::live::{Live, Objects};
use super::objects::Wanted;

/// The kinds of objects that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Service,
    Slice,
}

impl Kind {
    /// The watch on it, in words.
    pub(super) fn watch(self) -> &'static str {
        match self {
            Self::Service => "watching the Services of names",
            Self::Slice => "watching the EndpointSlices of names",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) action: Action,
}

/// The effect of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// By POST, which fails if an object of that name exists. (An apply would join its owner, and a deletion by owner
    /// reference would then remove a foreign object.)
    Create(Value),
    /// By server-side apply to an object of this uid.
    Apply(Value),
    /// By DELETE, of only this state of this object.
    Delete { uid: String, resource_version: String },
}

/// The entries that are known, and those that are known to be gone.
pub(super) struct Entries<'a> {
    pub(super) known: &'a BTreeSet<String>,
    pub(super) gone: &'a BTreeSet<String>,
}

impl Entries<'_> {
    /// Whether an unwanted object of ours may go: no entry keeps it, and none of its entries may exist unseen.
    fn release(&self, live: &Live, wanted: &Wanted) -> bool {
        live.entries().all(|uid| (self.known.contains(uid) || self.gone.contains(uid)) && !wanted.kept.contains(uid))
    }
}

/// The steps, in an order in which each can succeed.
pub(super) fn plan(
    namespace: &str,
    wanted: &Wanted,
    services: &Objects,
    slices: &Objects,
    entries: &Entries<'_>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let bodies: BTreeMap<_, _> =
        wanted.services.iter().map(|(name, service)| (name, service.body(namespace, name))).collect();
    compare(Kind::Service, &bodies, services, wanted, entries, &mut steps);
    let bodies: BTreeMap<_, _> =
        wanted.slices.iter().map(|(name, slice)| (name, slice.body(namespace, name))).collect();
    compare(Kind::Slice, &bodies, slices, wanted, entries, &mut steps);
    steps
}

fn compare(
    kind: Kind,
    bodies: &BTreeMap<&String, Value>,
    cache: &Objects,
    wanted: &Wanted,
    entries: &Entries<'_>,
    steps: &mut Vec<Step>,
) {
    let mut step = |name: &String, action| steps.push(Step { kind, name: name.clone(), action });
    for (name, body) in bodies {
        match cache.objects.get(*name) {
            None => step(name, Action::Create(created(kind, body))),
            Some(live) if live.is_other_sort(body) => step(name, delete(live)),
            Some(live) if !live.holds(body) => step(name, Action::Apply(applied(body, live))),
            Some(_) => {}
        }
    }
    for (name, live) in &cache.objects {
        if !bodies.contains_key(name) && entries.release(live, wanted) {
            step(name, delete(live));
        }
    }
}

/// The body of a POST. A Service's owners come and go, so they are left to the apply that follows: no apply removes fields
/// that a POST declared.
fn created(kind: Kind, body: &Value) -> Value {
    let mut body = body.clone();
    if kind == Kind::Service
        && let Some(metadata) = body["metadata"].as_object_mut()
    {
        metadata.remove("ownerReferences");
    }
    body
}

fn applied(body: &Value, live: &Live) -> Value {
    let mut body = body.clone();
    // With the uid, an object that was deleted meanwhile is not created anew, nor a foreign one changed.
    body["metadata"]["uid"] = json!(live.uid);
    body
}

fn delete(live: &Live) -> Action {
    Action::Delete { uid: live.uid.clone(), resource_version: live.resource_version.clone() }
}

impl Action {
    /// The words for the action once it is done.
    pub(super) fn done(&self) -> &'static str {
        match self {
            Self::Create(_) => "name published",
            Self::Apply(_) => "name updated",
            Self::Delete { .. } => "name removed",
        }
    }
}
