//! The names of entries, and the steps that publish them: tables of cases.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;

use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::live::{Live, Objects};
use super::objects::Wanted;
use super::plan::{Action, Entries, Step, plan};
use super::records::Record;
use super::{DnsEntry, Mode, Settings, names};
use crate::istio::ServiceEntry;

fn merge(target: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            for (key, value) in fields {
                merge(&mut target[key], value);
            }
        }
        patch => *target = patch.clone(),
    }
}

/// An entry with a virtual IP of each family, and whatever a case makes of it.
fn entry(patch: &Value) -> DnsEntry {
    let host = "dev.cart.polaris";
    let mut entry = json!({
        "metadata": {"name": "cart", "namespace": "polaris", "uid": "u1"},
        "spec": {"hosts": [host], "resolution": "STATIC", "endpoints": [{"address": "10.0.0.2"}, {"address": "10.0.0.1"}]},
        "status": {"addresses": [{"host": host, "value": "240.240.0.1"}, {"host": host, "value": "2001:2::1"}]},
    });
    merge(&mut entry, patch);
    let entry: ServiceEntry = serde_json::from_value(entry).unwrap();
    DnsEntry::new(&entry, "networking.istio.io/v1")
}

fn settings(mode: Mode) -> Settings {
    Settings { mode, cluster_domain: "cluster.local".into() }
}

fn text(record: &Record) -> String {
    match record {
        Record::Addresses { service, name, addresses, .. } => {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            format!("{name}@{service} {}", addresses.join(" "))
        }
        Record::Alias { service, target, .. } => format!("{service} -> {target}"),
    }
}

/// The records of an entry, and the codes of the refusals.
#[track_caller]
fn check(mode: Mode, patch: Value, records: &[&str], refusals: &[&str]) {
    let found = names(&entry(&patch), &settings(mode));
    let texts: Vec<_> = found.records.iter().flatten().map(text).collect();
    let said: Vec<_> = found.refusals.iter().map(ToString::to_string).collect();
    assert_eq!(texts, records, "{patch}: {said:?}");
    assert_eq!(said.len(), refusals.len(), "{patch}: {said:?}");
    for (said, part) in said.iter().zip(refusals) {
        assert!(said.contains(part), "{patch}: {said} says `{part}`");
    }
}

#[test]
fn records_have_the_virtual_ip() {
    let both = ["dev@cart 240.240.0.1", "dev@cart 2001:2::1"];
    check(Mode::Records, json!({}), &both, &[]);
    check(Mode::Off, json!({}), &[], &[]);
    check(Mode::Off, json!({"metadata": {"annotations": {"aeraki.net/dns": "records"}}}), &both, &[]);
    check(Mode::Records, json!({"metadata": {"annotations": {"aeraki.net/dns": "off"}}}), &[], &[]);
    check(
        Mode::Records,
        json!({"metadata": {"annotations": {"aeraki.net/dns": "Records"}}}),
        &[],
        &["`Records` is none of off"],
    );
    // Addresses that istiod gave come before those that the operator wrote, each family by itself.
    let given = json!([{"host": "dev.cart.polaris", "value": "240.240.0.1"}, {"host": "other", "value": "2001:2::9"}]);
    let written = json!({"spec": {"addresses": ["240.240.0.9", "2001:2::7/128"]}, "status": {"addresses": given}});
    check(Mode::Records, written, &["dev@cart 240.240.0.1", "dev@cart 2001:2::7"], &[]);
    let range = json!({"spec": {"addresses": ["240.240.0.0/16"]}, "status": {"addresses": []}});
    check(Mode::Records, range, &[], &["no virtual IP"]);
}

#[test]
fn without_a_virtual_ip_the_reason_is_told() {
    let none = |patch: Value| {
        let mut all = json!({"status": {"addresses": null}});
        merge(&mut all, &patch);
        all
    };
    check(Mode::Records, none(json!({})), &[], &["given none yet"]);
    check(Mode::Records, json!({"status": {"addresses": []}}), &[], &["--repair-vip"]);
    check(Mode::Records, none(json!({"spec": {"resolution": "NONE"}})), &[], &["write STATIC"]);
    let label = json!({"metadata": {"labels": {"networking.istio.io/enable-autoallocate-ip": "false"}}});
    check(Mode::Records, none(label), &[], &["drop the label"]);
    let addresses = |addresses: Value| none(json!({"spec": {"addresses": addresses}}));
    check(Mode::Records, addresses(json!(["127.0.0.1"])), &[], &["a loopback address"]);
    check(
        Mode::Records,
        addresses(json!(["169.254.1.1", "240.240.0.1"])),
        &["dev@cart 240.240.0.1"],
        &["a link-local"],
    );
}

#[test]
fn hosts_that_do_not_fit_are_told() {
    let long = format!("{}.cart.polaris", "a".repeat(64));
    let cases = [
        ("dev.cart.default", "does not end in `.polaris`"),
        ("Dev.cart.polaris", "`Dev` is not a DNS label"),
        ("dev_1.cart.polaris", "`dev_1` is not a DNS label"),
        ("*.cart.polaris", "`*` is not a DNS label"),
        ("a.dev.cart.polaris", "it has 4 labels"),
        ("polaris", "it has 1 labels"),
        ("dev.1cart.polaris", "must start with a letter"),
        (&long, "64 characters"),
        ("cart.polaris", "set aeraki.net/dns to cname"),
    ];
    for (host, reason) in cases {
        check(Mode::Records, json!({"spec": {"hosts": [host]}}), &[], &[reason]);
    }
}

#[test]
fn aliases_lead_to_what_the_cluster_serves() {
    let hosts = json!({"spec": {"hosts": ["dev.cart.polaris", "dev-cart.polaris"]}});
    let own = ["dev-cart -> dev.cart.polaris.svc.cluster.local", "dev@cart 240.240.0.1", "dev@cart 2001:2::1"];
    check(Mode::Cname, hosts, &own, &[]);
    let target = |target: &str| json!({"metadata": {"annotations": {"aeraki.net/dnsTarget": target}}, "spec": {"hosts": ["shop.polaris"]}});
    check(Mode::Cname, target("web.default.svc.cluster.local."), &["shop -> web.default.svc.cluster.local"], &[]);
    check(Mode::Cname, target("db.example.com"), &[], &["does not end in `.svc.cluster.local`"]);
    check(Mode::Cname, target("10.0.0.1"), &[], &["does not end in"]);
    check(Mode::Cname, target("a_b.svc.cluster.local"), &[], &["no DNS name"]);
    check(Mode::Cname, target("shop.polaris.svc.cluster.local"), &[], &["the alias itself"]);
    check(Mode::Cname, json!({"spec": {"hosts": ["shop.polaris"]}}), &[], &["give the entry a host"]);
}

#[test]
fn endpoints_are_published_sorted_and_capped() {
    check(Mode::Endpoints, json!({}), &["dev@cart 10.0.0.1 10.0.0.2"], &[]);
    let endpoints =
        |all: &[&str]| json!({"spec": {"endpoints": all.iter().map(|it| json!({"address": it})).collect::<Vec<_>>()}});
    check(Mode::Endpoints, endpoints(&[]), &[], &["no endpoint with an IP address"]);
    check(Mode::Endpoints, endpoints(&["db.example.com"]), &[], &["no endpoint with an IP address"]);
    check(
        Mode::Endpoints,
        endpoints(&["10.0.0.1", "10.0.0.1", "fd00::1"]),
        &["dev@cart 10.0.0.1", "dev@cart fd00::1"],
        &[],
    );
    check(Mode::Endpoints, endpoints(&["127.0.0.1", "10.0.0.1"]), &["dev@cart 10.0.0.1"], &["a loopback address"]);
    let many: Vec<_> = (0..150).map(|number| format!("10.0.1.{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let found = names(&entry(&endpoints(&many)), &settings(Mode::Endpoints));
    assert!(matches!(&found.records.as_deref(), Some([Record::Addresses { addresses, .. }]) if addresses.len() == 100));
    assert!(found.refusals[0].to_string().contains("150 endpoints, of which the first 100"), "{:?}", found.refusals);
}

#[test]
fn an_entry_that_istiod_gave_up_is_trapped() {
    let has_lost_vip = |patch: Value| entry(&patch).has_lost_vip();
    let empty = json!({"status": {"addresses": []}});
    assert!(has_lost_vip(empty.clone()));
    assert!(
        !has_lost_vip(json!({}))
            && !has_lost_vip(json!({"status": {"addresses": null}}))
            && !has_lost_vip(json!({"status": null}))
    );
    for patch in [
        json!({"spec": {"resolution": "NONE"}}),
        json!({"spec": {"addresses": ["240.240.0.7"]}}),
        json!({"spec": {"hosts": ["*.cart.polaris"]}}),
        json!({"metadata": {"labels": {"networking.istio.io/enable-autoallocate-ip": "false"}}}),
    ] {
        let mut all = empty.clone();
        merge(&mut all, &patch);
        assert!(!has_lost_vip(all), "{patch}");
    }
}

/// A namespace that holds some objects.
#[derive(Default)]
struct Namespace {
    services: Objects,
    slices: Objects,
}

impl Namespace {
    /// Performs steps as an API server would.
    fn perform(&mut self, steps: &[Step]) {
        for step in steps {
            let cache = if step.kind == super::plan::Kind::Service { &mut self.services } else { &mut self.slices };
            match &step.action {
                Action::Create(body) | Action::Apply(body) => {
                    let mut object = body.clone();
                    object["metadata"]["uid"] = json!("object");
                    cache.apply(Event::Apply(serde_json::from_value(object).unwrap()), Live::named, |_, _| true);
                }
                Action::Delete { .. } => drop(cache.objects.remove(&step.name)),
            }
        }
    }

    /// The next steps for these entries, of which some are gone for certain.
    fn steps(&self, entries: &[DnsEntry], mode: Mode, gone: &[&str]) -> Vec<Step> {
        let mut all: Vec<_> = entries.iter().map(|entry| (entry, names(entry, &settings(mode)))).collect();
        let wanted = Wanted::new(&mut all);
        let known: BTreeSet<_> = entries.iter().map(|entry| entry.uid.clone()).collect();
        let gone: BTreeSet<_> = gone.iter().map(|uid| (*uid).to_owned()).collect();
        plan("polaris", &wanted, &self.services, &self.slices, &Entries { known: &known, gone: &gone })
    }

    /// Performs steps until none is left, and returns the number of rounds.
    fn perform_all(&mut self, entries: &[DnsEntry], mode: Mode, gone: &[&str]) -> usize {
        let rounds = (0..5).take_while(|_| {
            let steps = self.steps(entries, mode, gone);
            self.perform(&steps);
            !steps.is_empty()
        });
        rounds.count()
    }

    fn counts(&self) -> (usize, usize) {
        (self.services.objects.len(), self.slices.objects.len())
    }
}

#[test]
fn entries_of_one_service_share_it() {
    let other = json!({"metadata": {"name": "test", "uid": "u2"}, "spec": {"hosts": ["test.cart.polaris"]},
                       "status": {"addresses": [{"host": "test.cart.polaris", "value": "240.240.0.2"}]}});
    let (one, two) = (entry(&json!({})), entry(&other));
    let mut namespace = Namespace::default();
    // The Service's owners come by an apply of their own.
    assert_eq!(namespace.perform_all(&[one.clone(), two.clone()], Mode::Records, &[]), 2);
    assert_eq!(namespace.counts(), (1, 3));
    assert_eq!(namespace.perform_all(&[one.clone(), two.clone()], Mode::Records, &[]), 0);
    // An entry that is merely unseen keeps its names; the Service stays for the other.
    assert_eq!(namespace.perform_all(std::slice::from_ref(&one), Mode::Records, &[]), 1);
    assert_eq!(namespace.counts(), (1, 3));
    assert_eq!(namespace.perform_all(std::slice::from_ref(&one), Mode::Records, &["u2"]), 1);
    assert_eq!(namespace.counts(), (1, 2));
    assert_eq!(namespace.perform_all(&[], Mode::Records, &[]), 0);
    assert_eq!(namespace.perform_all(&[], Mode::Records, &["u1"]), 1);
    assert_eq!(namespace.counts(), (0, 0));
}

#[test]
fn an_annotation_that_cannot_be_read_changes_nothing() {
    let mut namespace = Namespace::default();
    namespace.perform_all(&[entry(&json!({}))], Mode::Records, &[]);
    let odd = entry(&json!({"metadata": {"annotations": {"aeraki.net/dns": "on"}}}));
    assert_eq!(namespace.perform_all(&[odd], Mode::Records, &[]), 0);
    assert_eq!(namespace.counts(), (1, 2));
    assert_eq!(namespace.perform_all(&[entry(&json!({}))], Mode::Off, &[]), 1);
    assert_eq!(namespace.counts(), (0, 0));
}

#[test]
fn an_alias_gives_way_to_records_and_becomes_a_service_anew() {
    let hosts = json!({"metadata": {"uid": "u3", "annotations": {"aeraki.net/dnsTarget": "a.b.svc.cluster.local"}},
                       "spec": {"hosts": ["cart.polaris"]}});
    let (alias, records) = (entry(&hosts), entry(&json!({})));
    let mut namespace = Namespace::default();
    assert_eq!(namespace.perform_all(std::slice::from_ref(&alias), Mode::Cname, &[]), 2);
    assert_eq!(namespace.counts(), (1, 0));
    // Deleted, created, given its owners.
    assert_eq!(namespace.perform_all(&[alias.clone(), records.clone()], Mode::Cname, &[]), 3);
    let mut all =
        vec![(&alias, names(&alias, &settings(Mode::Cname))), (&records, names(&records, &settings(Mode::Cname)))];
    Wanted::new(&mut all);
    assert!(all[0].1.refusals[0].to_string().contains("records of other hosts need the Service `cart`"));
}

#[test]
fn what_somebody_changed_is_put_back() {
    let mut namespace = Namespace::default();
    let entries = [entry(&json!({}))];
    namespace.perform_all(&entries, Mode::Records, &[]);
    let (name, _) = namespace.slices.objects.iter().next().unwrap();
    let changed = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "endpoints": [],
                         "metadata": {"name": name, "labels": {"polaris2istio.aeraki.net/names": "u1"}}});
    namespace.slices.apply(Event::Apply(serde_json::from_value(changed).unwrap()), Live::named, |_, _| true);
    let steps = namespace.steps(&entries, Mode::Records, &[]);
    assert!(matches!(&steps[..], [Step { action: Action::Apply(_), .. }]), "{steps:?}");
    assert_eq!(namespace.perform_all(&entries, Mode::Records, &[]), 1);
}
