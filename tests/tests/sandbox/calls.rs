//! One misbehaviour after the other: the right error with a good text, and the next call works as usual.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use polaris2istio::converter::{CallError, Limits, LoadedModule};
use polaris2istio_core::model::{Declarer, EntryPort, MeshLocation, Outcome, Request, Resolution, Service};

use crate::guest;
use crate::request::{entry, is_well, service};

/// Long enough for a normal call on a busy machine, short enough to be waited for.
pub(crate) const TIME: Duration = Duration::from_secs(1);

/// The guest under limits of its own.
pub(crate) fn guest_with(limits: Limits) -> Arc<LoadedModule> {
    Arc::new(LoadedModule::new(&guest::module_bytes(guest::misbehaving()), limits, Vec::new()).unwrap())
}

fn module() -> &'static LoadedModule {
    static MODULE: OnceLock<Arc<LoadedModule>> = OnceLock::new();
    // Tests run side by side, and each of their calls takes a slot.
    MODULE.get_or_init(|| guest_with(Limits { time: TIME, concurrency: 32, ..Limits::default() }))
}

fn call(behaviour: Option<&str>) -> Result<Outcome, CallError> {
    module().call(&service(behaviour), &entry(), None)
}

#[track_caller]
fn check(behaviour: &str, expected: impl FnOnce(&CallError) -> bool, parts: &[&str]) {
    let error = call(Some(behaviour)).expect_err(behaviour);
    assert!(expected(&error), "{error:?}");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{text}` lacks `{part}`");
    }
    assert!(is_well(&call(None).unwrap()), "the next call works as usual");
}

#[track_caller]
fn said(outcome: Result<Outcome, CallError>) -> String {
    let diagnostics = outcome.unwrap().diagnostics;
    assert!(!diagnostics.is_empty(), "the guest says something");
    diagnostics.into_iter().map(|one| one.message).collect()
}

#[test]
fn a_panic_is_a_trap() {
    let trapped = |error: &CallError| matches!(error, CallError::Trapped { export: "convert", .. });
    check("panic", trapped, &["`convert` trapped", "unreachable", "a defect of the module"]);
}

#[test]
fn a_loop_is_stopped_in_time() {
    let begun = Instant::now();
    let timed_out = |error: &CallError| matches!(error, CallError::TimedOut { export: "convert", limit: TIME });
    check("loop", timed_out, &["ran longer than 1s", "--module-timeout"]);
    let took = begun.elapsed();
    assert!((TIME..3 * TIME).contains(&took), "{took:?}");
}

#[test]
fn hoarding_memory_ends_at_the_cap() {
    let cap = Limits::default().memory_bytes;
    let over = |error: &CallError| matches!(error, CallError::OutOfMemory { export: "convert", wanted, limit } if *limit == cap && *wanted > cap);
    check("allocate", over, &["67108864 allowed", "--module-memory"]);
}

#[test]
fn a_lower_cap_counts() {
    let small = guest_with(Limits { memory_bytes: 8 << 20, ..Limits::default() });
    let error = small.call(&service(Some("allocate")), &entry(), None).unwrap_err();
    assert!(matches!(error, CallError::OutOfMemory { limit: 0x80_0000, .. }), "{error}");
    assert!(is_well(&small.call(&service(None), &entry(), None).unwrap()));
}

#[test]
fn a_long_text_is_not_taken() {
    let large = |error: &CallError| matches!(error, CallError::OutputTooLarge { export: "convert", .. });
    check("long-output", large, &["more than 33554432 bytes", "--module-max-output"]);
}

/// 32 MiB in the guest would be 96 MiB here.
#[test]
fn a_list_counts_as_what_it_takes_in_the_host() {
    check("many-outputs", |error| matches!(error, CallError::OutputTooLarge { .. }), &["--module-max-output"]);
}

#[test]
fn a_lower_output_limit_counts() {
    let limits = Limits { output_bytes: 10_000, ..Limits::default() };
    let small = guest_with(limits);
    let mut big = service(None);
    big.instances = vec![big.instances[0].clone(); 1000];
    let error = small.call(&big, &entry(), None).unwrap_err();
    assert!(matches!(error, CallError::OutputTooLarge { limit: 10_000, .. }), "{error}");
    assert!(is_well(&small.call(&service(None), &entry(), None).unwrap()));
}

#[test]
fn recursion_ends_with_the_stack() {
    check("recurse", |error| matches!(error, CallError::Trapped { .. }), &["call stack exhausted"]);
}

#[test]
fn a_text_must_be_text() {
    check("not-text", |error| matches!(error, CallError::Trapped { .. }), &["utf-8", "a defect of the module"]);
}

#[test]
fn a_failure_has_the_modules_own_words() {
    check("fail", |error| matches!(error, CallError::Failed { .. }), &["`convert` failed: told to fail"]);
}

#[test]
fn nothing_is_remembered() {
    for _ in 0..3 {
        assert_eq!(said(call(Some("count"))), "1");
    }
}

/// Every field arrives as it was sent, those that the default rules do not look at included.
#[test]
fn a_request_arrives_whole() {
    let mut sent = Request {
        service: service(Some("echo")),
        entry: entry(),
        parameters: vec![("a".into(), "1".into()), ("b".into(), "2".into())],
        published: Some("revision \u{1f600}\0".into()),
    };
    sent.service.instances[0].metadata.push((String::new(), "\u{202e}\n".into()));
    sent.service.instances.push(polaris2istio_core::model::Instance {
        port: u32::MAX,
        weight: 0,
        healthy: false,
        isolated: true,
        metadata: vec![],
        ..crate::request::instance()
    });
    sent.entry.location = Some(MeshLocation::MeshInternal);
    sent.entry.resolution = Some(Resolution::DynamicDns);
    sent.entry.has_workload_selector = true;
    for declared_by in [Declarer::Controller, Declarer::Other] {
        sent.entry.ports.push(EntryPort {
            name: "http".into(),
            number: 80,
            protocol: String::new(),
            target_port: (declared_by == Declarer::Other).then_some(8080),
            declared_by,
        });
    }
    let source = guest::module_bytes(guest::misbehaving());
    let module = LoadedModule::new(&source, Limits::default(), sent.parameters.clone()).unwrap();
    let echo = said(module.call(&sent.service, &sent.entry, sent.published.as_deref()));
    assert_eq!(echo, format!("{sent:?}"));
    sent.published = None;
    let empty = Service { instances: Vec::new(), ..sent.service.clone() };
    assert!(said(module.call(&empty, &sent.entry, None)).contains("instances: []"));
}
