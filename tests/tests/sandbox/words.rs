//! A module's words are cut and escaped where they come in, however many they are.

use polaris2istio::converter::{CallError, Limits};
use polaris2istio::source::ModuleBytes;
use polaris2istio_core::model::Diagnostic;

use crate::calls::guest_with;
use crate::guest;
use crate::request::{entry, service};

/// Nothing that a terminal obeys, and nothing that begins another line of a log.
#[track_caller]
fn is_shown(text: &str, most: usize) {
    assert!(!text.chars().any(char::is_control), "{}", text.escape_debug());
    assert!(text.chars().count() <= most, "{} characters", text.chars().count());
}

fn said(behaviour: &str) -> Vec<Diagnostic> {
    let module = guest_with(Limits::default());
    module.call(&service(Some(behaviour)), &entry(), None).unwrap().diagnostics
}

#[test]
fn many_words_are_some() {
    let said = said("many-words");
    let bytes: usize = said.iter().map(|one| one.message.len() + one.remedy.len() + one.code.len()).sum();
    assert!((1 << 20..=3 << 20).contains(&bytes), "{bytes} bytes");
    said.iter().for_each(|one| is_shown(&one.message, 1_100));
    let last = said.last().unwrap();
    assert_eq!(last.code, "diagnostics-left-out");
    assert!(last.message.contains(&format!("{} more of these", 10_001 - said.len())), "{}", last.message);
}

#[test]
fn long_words_are_short() {
    let said = said("long-words");
    assert_eq!(said.len(), 1);
    is_shown(&said[0].message, 1_100);
    assert!(said[0].message.ends_with(" bytes)"), "it is said that it was cut");
}

#[test]
fn a_long_failure_is_short() {
    let module = guest_with(Limits::default());
    let error = module.call(&service(Some("long-failure")), &entry(), None).unwrap_err();
    assert!(matches!(error, CallError::Failed { .. }), "{error}");
    is_shown(&error.to_string(), 1_200);
}

#[test]
fn a_long_name_is_short() {
    let bytes = ModuleBytes::new(guest::variant("long-name"), "long.wasm".into());
    let module = polaris2istio::converter::LoadedModule::new(&bytes, Limits::default(), Vec::new()).unwrap();
    is_shown(&module.info().name, 230);
}
