//! Whatever a registry answers: what comes out of the component is what the API server takes, in an order that does not
//! depend on the answer's, and it is written once.
//!
//! The rules have their own properties in `core/tests`; these go the whole way, from the text of an answer to the plan.
#![allow(clippy::unwrap_used, clippy::panic)]

mod applied;
mod guard;
mod hostile;

use std::sync::{Arc, LazyLock};

use polaris2istio::converter::{Limits, LoadedModule};
use polaris2istio::entries::Document;
use polaris2istio::istio::ServiceEntry;
use polaris2istio::plan::{AddressRule, check};
use polaris2istio::plan::{Desired, Plan, plan};
use polaris2istio::registry::{Content, decode_answer};
use polaris2istio::source::ModuleBytes;
use polaris2istio_core::model::{Request, Service, Verdict};
use proptest::prelude::*;
use serde_json::Value;

static MODULE: LazyLock<Arc<LoadedModule>> =
    LazyLock::new(|| Arc::new(LoadedModule::new(&ModuleBytes::embedded(), Limits::default(), Vec::new()).unwrap()));

/// The desired content of the entry, with the content revision; `None` if it is rejected or unchanged. The native rules and
/// the component have to agree.
fn convert(service: &Service, entry: &ServiceEntry, published: Option<&str>) -> (Verdict, Option<Desired>) {
    let request = Request {
        service: service.clone(),
        entry: entry.view().unwrap(),
        parameters: Vec::new(),
        published: published.map(str::to_owned),
    };
    let outcome = MODULE.ask(&request).unwrap();
    assert_eq!(polaris2istio_core::convert(&request), Ok(outcome.clone()), "natively, and through the component");
    let desired = match &outcome.verdict {
        Verdict::Update(update) => Some(Desired::of(update.clone(), service)),
        Verdict::Unchanged | Verdict::Rejected => None,
    };
    (outcome.verdict, desired)
}

fn decode(answer: &Value) -> Service {
    match decode_answer(answer.to_string().as_bytes(), "answer").unwrap().content {
        Content::Listed(service) => Arc::unwrap_or_clone(service),
        Content::Missing => panic!("it lists instances"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn what_comes_out_is_accepted_and_written_once(answer in hostile::answer(), entry in hostile::entry()) {
        let document = Document::parse_all(entry.to_string().as_bytes(), "entry").unwrap().remove(0);
        let service = decode(&answer);
        let (verdict, desired) = convert(&service, &document.entry, None);
        let (Verdict::Update(update), Some(desired)) = (verdict, desired) else { return Ok(()) };
        prop_assert_eq!(check(&desired, &document.entry, &AddressRule::default()), Ok(()));
        let Plan { apply, contested } = plan(&desired, &document.entry);
        prop_assert!(contested.is_empty() || contested[0].field == "spec.location", "{:?}", contested);
        let live = applied::entry(&document, &apply.expect("a fresh entry is written"));
        let (again, _) = convert(&service, &live, update.content_revision.as_deref());
        prop_assert_eq!(again, Verdict::Unchanged);
        let (_, same) = convert(&service, &live, None);
        let same = same.expect("what was accepted once is accepted again");
        prop_assert_eq!(plan(&same, &live).apply, None);
    }

    #[test]
    fn the_order_of_instances_never_matters(answer in hostile::answer(), entry in hostile::entry(), seed in any::<prop::sample::Index>()) {
        let document = Document::parse_all(entry.to_string().as_bytes(), "entry").unwrap().remove(0);
        let mut turned = answer.clone();
        let list = turned["instances"].as_array_mut().unwrap();
        if !list.is_empty() {
            let middle = seed.index(list.len());
            list.rotate_left(middle);
            list.reverse();
        }
        let (_, one) = convert(&decode(&answer), &document.entry, None);
        let (_, other) = convert(&decode(&turned), &document.entry, None);
        prop_assert_eq!(one, other);
    }
}
