//! The writes of a row's controllers, one after the other, against what they were good for.

use std::collections::{BTreeMap, BTreeSet};

use polaris2istio_tests::servers::Write;
use serde_json::Value;

use super::entry::addresses;
use super::known::Known;
use super::truth::{self, service_of};

/// The books. All writes are entered, then they are closed.
pub(crate) struct Books<'a> {
    known: &'a Known,
    last: BTreeMap<String, Last>,
    lost: usize,
    wrong: Vec<String>,
}

/// The content that an entry was given last.
#[derive(Default)]
struct Last {
    times: usize,
    hosts: BTreeSet<String>,
    spec: Value,
}

impl<'a> Books<'a> {
    /// Empty ones.
    pub(crate) fn new(known: &'a Known) -> Self {
        Self { known, last: BTreeMap::new(), lost: 0, wrong: Vec::new() }
    }

    /// Enters a write that was done.
    pub(crate) fn enter(&mut self, write: &Write) {
        let Write { name, verb, subresource, body, .. } = write;
        if verb != "patch" || !subresource.is_empty() {
            // A deletion gives no endpoints, so that all of them count as lost below.
            self.wrong.push(format!("{verb} of {name} {subresource}, which is no apply to an entry"));
        }
        let given = addresses(body);
        if let Some(what) = self.known.wrong(service_of(name), body) {
            self.wrong.push(format!("{name} was given {what}"));
        }
        if truth::rest(body) != truth::written() {
            self.wrong.push(format!("{name} was given {} in place of {}", truth::rest(body), truth::written()));
        }
        let last = self.last.entry(name.clone()).or_default();
        last.times += 1;
        self.lost += self.known.lost(service_of(name), &last.hosts, &given, write.received);
        if last.spec == body["spec"] {
            self.wrong.push(format!("{name} was given what it had: {given:?}"));
        }
        last.hosts = given.into_iter().map(str::to_owned).collect();
        last.spec = body["spec"].clone();
    }

    /// Endpoints that writes have taken away, and what was wrong with writes.
    pub(crate) fn close(mut self) -> (usize, Vec<String>) {
        for (name, Last { times, .. }) in &self.last {
            let needed = self.known.needed(service_of(name));
            if *times > needed {
                self.wrong.push(format!("{name} was written {times} times for {needed} changes of its service"));
            }
        }
        (self.lost, self.wrong)
    }
}
