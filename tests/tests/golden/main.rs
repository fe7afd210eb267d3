//! The default rules by example: every case runs natively and through the component, must give equal outcomes, and those
//! that are written beside it.
//!
//! `UPDATE_GOLDENS=1 cargo test -p polaris2istio-tests --test golden` writes them anew; read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod bindings;
mod limits;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use polaris2istio::cases::{Answer, Case, breach};
use polaris2istio::converter::{Limits, LoadedModule};
use polaris2istio::istio::ServiceEntry;
use polaris2istio::plan::{Desired, plan};
use polaris2istio::source::ModuleBytes;
use polaris2istio_core::diagnostic::Code;
use polaris2istio_core::model::{Declarer, Diagnostic, Outcome, Request, Update, Verdict};

/// Set, it writes the outcomes in place of comparing them.
const UPDATE: &str = "UPDATE_GOLDENS";
const HINT: &str =
    "if that is meant: UPDATE_GOLDENS=1 cargo test -p polaris2istio-tests --test golden, then read the difference";

/// All cases, by name. A file that is never read would be a case that never runs.
fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let directories = Case::directories(&root).unwrap();
    assert_eq!(root.read_dir().unwrap().count(), directories.len(), "nothing but folders in {}", root.display());
    let read = |directory: &PathBuf| Case::read(directory, &[]).unwrap_or_else(|error| panic!("{error}"));
    directories.iter().map(read).collect()
}

/// The component of the default rules.
pub(crate) fn component() -> LoadedModule {
    LoadedModule::new(&ModuleBytes::embedded(), Limits::default(), Vec::new()).expect("the embedded module loads")
}

/// Converts natively and through the component, and asserts that both say the same.
pub(crate) fn convert(component: &LoadedModule, name: &str, request: &Request) -> Outcome {
    let native = polaris2istio_core::convert(request).unwrap_or_else(|failure| panic!("{name}: {}", failure.message));
    let sandboxed = component.ask(request).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(native, sandboxed, "{name}: natively, and through the component");
    native
}

/// Checks that hold for every outcome, whatever the case is about.
fn check_outcome(component: &LoadedModule, case: &Case, request: &Request, outcome: &Outcome) {
    let name = &case.name;
    for Diagnostic { code, severity, .. } in &outcome.diagnostics {
        let known = Code::ALL.iter().find(|known| known.as_str() == code);
        assert_eq!(known.map(|known| known.severity()), Some(*severity), "{name}: {code}");
    }
    assert_eq!(breach(case, component, request, outcome), None, "{name}");
    if let Verdict::Update(update) = &outcome.verdict {
        check_update(case, request, update);
    }
}

/// The entry, once the update is written to it.
fn check_update(case: &Case, request: &Request, update: &Update) {
    let (name, live) = (&case.name, &case.document.entry);
    let planned = plan(&Desired::of(update.clone(), &request.service), live);
    if let Some(apply) = &planned.apply {
        let written: ServiceEntry = serde_json::from_value(case.document.with(apply)).unwrap();
        let theirs =
            request.entry.ports.iter().filter(|port| port.declared_by == Declarer::Other).map(|port| &port.name);
        let expected: BTreeSet<_> = theirs.chain(update.ports.iter().map(|port| &port.name)).collect();
        let names: Vec<_> = written.spec.ports.iter().map(|port| &port.name).collect();
        assert_eq!(names.iter().copied().collect::<BTreeSet<_>>(), expected, "{name}: the ports as written");
        assert_eq!(names.len(), expected.len(), "{name}: each port is written once");
    }
    let written = planned.apply.is_some() || live.annotation("aeraki.net/revision").is_some();
    assert!(written, "{name}: an entry without a revision is always written");
}

#[test]
fn every_case_gives_its_outcome() {
    let component = component();
    let mut differing = Vec::new();
    for case in cases() {
        let request = case.question(&component).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(request.published.is_some(), case.earlier().is_some(), "{}: the earlier answer", case.name);
        let outcome = convert(&component, &case.name, &request);
        check_outcome(&component, &case, &request, &outcome);
        let text = Answer::Outcome(outcome).text();
        if std::env::var_os(UPDATE).is_some() {
            case.expect(&text).unwrap();
        } else if case.expected().unwrap().as_ref() != Some(&text) {
            differing.push(format!("{}: the outcome is now\n{text}", case.name));
        }
    }
    assert!(differing.is_empty(), "{}\n{} cases differ; {HINT}", differing.join("\n"), differing.len());
}

/// Every code is shown by a case: a code without one would never have been reviewed.
#[test]
fn every_diagnostic_has_a_case() {
    let mut seen: BTreeSet<String> = limits::CODES.map(|code| code.to_string()).into();
    for case in cases() {
        let outcome = polaris2istio_core::convert(case.request()).expect("no failure");
        seen.extend(outcome.diagnostics.into_iter().map(|diagnostic| diagnostic.code));
    }
    let missing: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).filter(|code| !seen.contains(*code)).collect();
    assert!(missing.is_empty(), "no case of tests/cases/ gives {}", missing.join(", "));
}
