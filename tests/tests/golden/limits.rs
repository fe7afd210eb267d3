//! Cases that would be files of a megabyte.

use polaris2istio_core::diagnostic::Code;
use polaris2istio_core::limits::ENDPOINTS;
use polaris2istio_core::model::{Instance, Request, Verdict};

use crate::{cases, component, convert};

/// The codes that these cases show.
pub(crate) const CODES: [Code; 2] = [Code::TooManyEndpoints, Code::EntryTooLarge];

/// A case of one instance, multiplied.
fn multiplied(count: usize, change: impl Fn(&mut Instance)) -> Request {
    let case = cases().into_iter().find(|case| case.name == "weight-passed-on").expect("a plain case");
    let mut request = case.request().clone();
    let first = request.service.instances[0].clone();
    let instance = |number: usize| {
        let mut instance = first.clone();
        instance.id = format!("id-{number}");
        instance.host = format!("10.1.{}.{}", number / 256, number % 256);
        change(&mut instance);
        instance
    };
    request.service.instances = (0..count).map(instance).collect();
    request
}

#[track_caller]
fn check(request: &Request, expected: Option<Code>) {
    let outcome = convert(&component(), "limits", request);
    let errors: Vec<_> = outcome.diagnostics.iter().filter(|found| found.code.contains("too-")).collect();
    assert_eq!(errors.first().map(|found| found.code.as_str()), expected.map(Code::as_str));
    assert_eq!(outcome.verdict == Verdict::Rejected, expected.is_some());
}

#[test]
fn endpoints() {
    check(&multiplied(ENDPOINTS, |_| {}), None);
    check(&multiplied(ENDPOINTS + 1, |_| {}), Some(Code::TooManyEndpoints));
}

#[test]
fn bytes() {
    let labels = |instance: &mut Instance| {
        instance.metadata = (0..10).map(|number| (format!("key-{number}"), "v".repeat(63))).collect();
    };
    check(&multiplied(1000, labels), None);
    check(&multiplied(ENDPOINTS, labels), Some(Code::EntryTooLarge));
}
