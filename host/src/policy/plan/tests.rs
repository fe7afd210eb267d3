//! Entries that are made, changed, noted as gone and deleted, by worlds that differ in one thing.

use super::*;
use crate::policy::OnDelete;

/// A small world that is planned for until nothing is left to do.
struct Bench {
    policies: BTreeMap<String, Policy>,
    catalogues: BTreeMap<String, Known>,
    entries: BTreeMap<String, Head>,
    denied: BTreeMap<String, Denied>,
    kind_stays: bool,
    now: Timestamp,
}

fn policy(name: &str, day: u8, spec: Value) -> Policy {
    let created = Some(format!("2026-01-0{day}T00:00:00Z").parse().unwrap());
    let object = json!({
        "apiVersion": "polaris2istio.aeraki.net/v1alpha1", "kind": "PolarisImport",
        "metadata": {"name": name, "generation": 1}, "spec": spec,
    });
    Policy { created, ..Policy::new(&serde_json::from_value(object).unwrap()) }
}

fn spec() -> Value {
    json!({"polarisNamespace": "default", "template": {"hosts": ["{service}.polaris"]}, "prune": {"after": "1h"}})
}

fn entry(name: &str, hosts: &[&str], policy: Option<&str>) -> Head {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    Head { name: name.into(), hosts, policy: policy.map(str::to_owned), uid: name.into(), ..Head::default() }
}

impl Bench {
    fn new(policies: Vec<Policy>, services: &[&str]) -> Self {
        let policies = policies.into_iter().map(|policy| (policy.name.clone(), policy)).collect();
        let (entries, denied) = (BTreeMap::new(), BTreeMap::new());
        let now = "2026-02-01T00:00:00Z".parse().unwrap();
        let mut bench = Self { policies, catalogues: BTreeMap::new(), entries, denied, kind_stays: true, now };
        bench.list(services);
        bench
    }

    fn list(&mut self, services: &[&str]) {
        let services = services.iter().map(|name| ((*name).to_owned(), BTreeMap::new())).collect();
        let catalogue = Some(Arc::new(Catalogue { revision: "r".into(), services }));
        self.catalogues.insert("default".into(), Known { catalogue, ..Known::default() });
    }

    fn plan(&self) -> Plan {
        plan(&World {
            policies: &self.policies,
            catalogues: &self.catalogues,
            entries: &self.entries,
            denied: &self.denied,
            fleet_limit: Percent::new(20),
            kind_stays: self.kind_stays,
            now: self.now,
        })
    }

    /// Carries a plan out, as an API server would. Returns what was done.
    fn settle(&mut self) -> Vec<String> {
        let mut done = Vec::new();
        for step in self.plan().steps {
            let word = match step.action {
                Action::Create(body) => {
                    let head = self.put(&step.name, &body);
                    assert_eq!(self.entries.insert(step.name.clone(), head), None);
                    "create"
                }
                Action::Change(body) => {
                    let head = self.put(&step.name, &body);
                    self.entries.insert(step.name.clone(), head);
                    "change"
                }
                Action::Mark(body) => {
                    let head = self.put(&step.name, &body);
                    self.entries.insert(step.name.clone(), head);
                    "mark"
                }
                Action::Delete { .. } => {
                    self.entries.remove(&step.name).unwrap();
                    "delete"
                }
            };
            done.push(format!("{word} {}", step.name));
        }
        done
    }

    fn put(&self, name: &str, body: &Value) -> Head {
        let mut object = body.clone();
        object["metadata"]["creationTimestamp"] = json!("2026-01-20T00:00:00Z");
        let keys = |value: &Value| -> Value {
            value
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, _)| (format!("f:{key}"), json!({})))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let (labels, annotations) = (keys(&body["metadata"]["labels"]), keys(&body["metadata"]["annotations"]));
        let fields =
            json!({"f:metadata": {"f:labels": labels, "f:annotations": annotations}, "f:spec": keys(&body["spec"])});
        object["metadata"]["managedFields"] =
            json!([{"manager": super::super::POLICY_MANAGER, "operation": "Apply", "fieldsV1": fields}]);
        let head = Head::new(&serde_json::from_value(object).unwrap());
        Head { has_endpoints: self.entries.get(name).is_some_and(|old| old.has_endpoints), ..head }
    }

    fn pass(&mut self, seconds: i64) {
        self.now += jiff::SignedDuration::from_secs(seconds);
    }
}

#[test]
fn entries_are_made_once() {
    let mut bench = Bench::new(vec![policy("shop", 1, spec())], &["cart", "Orders"]);
    assert_eq!(bench.plan().reports["shop"].missing, 2);
    let made = bench.settle();
    assert_eq!((made.len(), made[1].as_str()), (2, "create cart"), "{made:?}");
    assert_eq!(bench.settle(), [""; 0]);
    assert!(bench.plan().reports["shop"].is_ready());
    assert_eq!(bench.entries["cart"].service, Some(ServiceKey::new("default", "cart")));
}

#[test]
fn what_is_not_the_policys_is_never_touched() {
    let mut bench = Bench::new(vec![policy("shop", 1, spec())], &["cart", "orders"]);
    bench.entries.insert("cart".into(), entry("cart", &["cart.polaris"], None));
    bench.entries.insert("other".into(), entry("other", &["orders.polaris"], None));
    assert_eq!(bench.settle(), [""; 0]);
    let report = &bench.plan().reports["shop"];
    assert_eq!((report.conflicts, report.refused.len(), report.is_ready()), (2, 2, false));
    assert!(report.refused[0].reason.contains("exists and is of no policy"), "{report:?}");
    assert!(report.refused[1].reason.contains("host orders.polaris is of ServiceEntry other"), "{report:?}");
    bench.list(&[]);
    assert_eq!(bench.settle(), [""; 0]);
}

#[test]
fn of_two_policies_the_older_has_it() {
    let policies = vec![policy("b-older", 1, spec()), policy("a-younger", 2, spec())];
    let mut bench = Bench::new(policies, &["cart"]);
    assert_eq!(bench.settle(), ["create cart"]);
    let reports = bench.plan().reports;
    assert!(reports["b-older"].is_ready());
    assert!(reports["a-younger"].refused[0].reason.contains("is of policy b-older"), "{reports:?}");
}

#[test]
fn a_service_that_goes_has_its_entry_for_a_while() {
    let names: Vec<_> = (0..10).map(|number| format!("s{number}")).collect();
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let mut bench = Bench::new(vec![policy("shop", 1, spec())], &all);
    assert_eq!(bench.settle().len(), 10);
    bench.list(&all[1..]);
    assert_eq!(bench.settle(), ["mark s0"]);
    assert_eq!(bench.plan().again, Some(Duration::from_secs(3_600)));
    bench.pass(3_599);
    assert_eq!(bench.settle(), [""; 0]);
    bench.list(&all);
    assert_eq!(bench.settle(), ["change s0"], "it is back, and not gone any more");
    assert_eq!(bench.entries["s0"].gone_since, None);
    bench.list(&all[1..]);
    assert_eq!(bench.settle(), ["mark s0"]);
    bench.entries.get_mut("s0").unwrap().has_endpoints = true;
    bench.pass(3_600);
    assert_eq!(bench.settle(), [""; 0], "the guard holds its endpoints");
    bench.entries.get_mut("s0").unwrap().has_endpoints = false;
    assert_eq!(bench.settle(), ["delete s0"]);
}

#[test]
fn no_accident_prunes() {
    let mut bench = Bench::new(vec![policy("shop", 1, spec())], &["a", "b", "c"]);
    assert_eq!(bench.settle().len(), 3);
    // A selector that is mistyped.
    bench.policies.get_mut("shop").unwrap().spec.select.names = Some(vec!["x*".into()]);
    assert_eq!(bench.settle(), [""; 0]);
    assert_eq!(bench.plan().reports["shop"].words().1, "PruningHeld");
    bench.policies.get_mut("shop").unwrap().spec.select.names = None;
    // A registry that lost everything, or fails.
    bench.list(&[]);
    assert_eq!(bench.settle(), [""; 0]);
    bench.list(&["b", "c"]);
    bench.catalogues.get_mut("default").unwrap().doubted = true;
    assert_eq!(bench.settle(), [""; 0]);
    assert_eq!(bench.plan().reports["shop"].words().1, "Synced", "a hiccup");
    bench.catalogues.get_mut("default").unwrap().trouble = Some("down".into());
    assert_eq!(bench.settle(), [""; 0]);
    assert_eq!(bench.plan().reports["shop"].words().1, "Registry");
    bench.catalogues.clear();
    assert_eq!(bench.settle(), [""; 0]);
    assert_eq!(bench.plan().reports["shop"].words().1, "Waiting");
    // A policy that is gone.
    bench.list(&[]);
    bench.policies.clear();
    assert_eq!(bench.settle(), [""; 0]);
    assert_eq!(bench.entries.len(), 3);
}

#[test]
fn entries_go_with_their_policy_if_it_says_so() {
    let mut bench = Bench::new(vec![policy("shop", 1, spec())], &["a", "b"]);
    bench.settle();
    let shop = |bench: &mut Bench, change: fn(&mut Policy)| change(bench.policies.get_mut("shop").unwrap());
    shop(&mut bench, |shop| shop.deleting = Some("2026-02-01T00:00:00Z".parse().unwrap()));
    bench.pass(60);
    assert_eq!(bench.settle(), [""; 0], "it does not say so");
    shop(&mut bench, |shop| (shop.spec.on_delete, shop.finalizers) = (OnDelete::Prune, shop.finalizers(true)));
    bench.kind_stays = false;
    assert_eq!(bench.settle(), [""; 0], "all policies go with their CRD");
    bench.kind_stays = true;
    shop(&mut bench, |shop| shop.deleting = Some("2026-02-01T00:00:58Z".parse().unwrap()));
    assert_eq!(bench.settle(), [""; 0], "the CRD may be going");
    assert_eq!(bench.plan().again, Some(Duration::from_secs(3)));
    assert_eq!(bench.plan().reports["shop"].words().1, "Deleting");
    bench.pass(3);
    assert_eq!(bench.settle(), ["delete a", "delete b"]);
    assert_eq!(bench.settle(), [""; 0]);
}

#[test]
fn a_policy_that_cannot_be_understood_is_not_carried_out() {
    let mut bench = Bench::new(vec![policy("shop", 1, spec())], &["a"]);
    bench.settle();
    bench.policies.get_mut("shop").unwrap().fault = Some("spec.selct: there is no such field".into());
    bench.list(&["a", "b"]);
    assert_eq!(bench.settle(), [""; 0]);
    assert_eq!(bench.plan().reports["shop"].words().1, "Invalid");
}

#[test]
fn what_the_server_does_not_take_is_refused() {
    let mut bench = Bench::new(vec![policy("shop", 1, spec())], &["cart"]);
    bench.denied.insert("cart".into(), Denied { words: "no".into(), again: false });
    assert_eq!(bench.settle(), [""; 0]);
    assert_eq!(bench.plan().reports["shop"].words().1, "Refused");
    bench.denied.insert("cart".into(), Denied { words: "no".into(), again: true });
    assert_eq!(bench.plan().reports["shop"].words().1, "Refused", "until it is taken");
    assert_eq!(bench.settle(), ["create cart"]);
}

#[test]
fn a_changed_template_changes_all() {
    let mut bench = Bench::new(vec![policy("shop", 1, spec())], &["a", "b"]);
    bench.settle();
    bench.policies.get_mut("shop").unwrap().spec.template.labels.insert("team".into(), "x".into());
    assert_eq!(bench.settle(), ["change a", "change b"]);
    assert_eq!(bench.settle(), [""; 0]);
}
