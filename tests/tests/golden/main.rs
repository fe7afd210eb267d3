//! The default rules by example: every case runs natively and through the component, must give equal outcomes, and those
//! that are written beside it.
//!
//! `UPDATE_GOLDENS=1 cargo test -p polaris2istio-tests --test golden` writes them anew; read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod case;
mod layout;
mod limits;

use std::collections::{BTreeMap, BTreeSet};

use case::Case;
use polaris2istio::converter::source::Candidate;
use polaris2istio::converter::{Converter, Limits, Parameters};
use polaris2istio::istio::{ServiceEntry, check};
use polaris2istio::plan::{Desired, plan};
use polaris2istio_core::diagnostic::Code;
use polaris2istio_core::model::{Declarer, Diagnostic, Outcome, Request, Verdict};

/// Set, it writes the outcomes in place of comparing them.
const UPDATE: &str = "UPDATE_GOLDENS";
const HINT: &str =
    "if that is meant: UPDATE_GOLDENS=1 cargo test -p polaris2istio-tests --test golden, then read the difference";

/// The component, once for each set of parameters.
#[derive(Default)]
pub(crate) struct Converters(BTreeMap<Parameters, Converter>);

impl Converters {
    /// Converts natively and through the component, and asserts that both say the same.
    pub(crate) fn convert(&mut self, name: &str, request: &Request) -> Outcome {
        let Request { service, entry, parameters, published } = request;
        let converter = self.0.entry(parameters.clone()).or_insert_with(|| {
            Converter::new(&Candidate::embedded(), Limits::default(), parameters.clone())
                .expect("the embedded module loads")
        });
        let native =
            polaris2istio_core::convert(request).unwrap_or_else(|failure| panic!("{name}: {}", failure.message));
        let sandboxed = converter.call(service, entry, published.as_deref());
        let sandboxed = sandboxed.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(native, sandboxed, "{name}: natively, and through the component");
        native
    }
}

/// What has to hold of every outcome, whatever the case is about.
fn check_outcome(converters: &mut Converters, case: &Case, request: &Request, outcome: &Outcome) {
    let name = &case.name;
    for Diagnostic { code, severity, .. } in &outcome.diagnostics {
        let known = Code::ALL.iter().find(|known| known.as_str() == code);
        assert_eq!(known.map(|known| known.severity()), Some(*severity), "{name}: {code}");
    }
    let Verdict::Update(update) = &outcome.verdict else { return };
    let source = format!("{}/{}", request.service.namespace, request.service.name);
    let desired = Desired::new(update.clone(), source, request.service.revision.clone());
    let live = &case.document.entry;
    check(&desired, live, &case.addresses()).unwrap_or_else(|violation| panic!("{name}: {violation}"));
    let planned = plan(&desired, live);
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
    // Given the revision of what it just said, it has nothing to say.
    let again = Request { published: update.content_revision.clone(), ..request.clone() };
    assert_eq!(converters.convert(name, &again).verdict, Verdict::Unchanged, "{name}");
}

#[test]
fn every_case_gives_its_outcome() {
    let mut converters = Converters::default();
    let mut differing = Vec::new();
    for case in Case::all() {
        let mut request = case.request();
        if let Some(earlier) = case.earlier() {
            let Verdict::Update(update) = converters.convert(&case.name, &earlier).verdict else {
                panic!("{}: the earlier answer gives no update", case.name);
            };
            request.published = update.content_revision;
        }
        let outcome = converters.convert(&case.name, &request);
        check_outcome(&mut converters, &case, &request, &outcome);
        let text = layout::pretty(&serde_json::to_value(&outcome).unwrap());
        let path = case.directory.join(case::OUTCOME);
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(path, text).unwrap();
        } else if std::fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            differing.push(format!("{}: the outcome is now\n{text}", case.name));
        }
    }
    assert!(differing.is_empty(), "{}\n{} cases differ; {HINT}", differing.join("\n"), differing.len());
}

/// A code that no case shows is one that nobody has looked at.
#[test]
fn every_diagnostic_has_a_case() {
    let mut seen: BTreeSet<String> = limits::CODES.map(|code| code.to_string()).into();
    for case in Case::all() {
        let outcome = polaris2istio_core::convert(&case.request()).expect("no failure");
        seen.extend(outcome.diagnostics.into_iter().map(|diagnostic| diagnostic.code));
    }
    let missing: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).filter(|code| !seen.contains(*code)).collect();
    assert!(missing.is_empty(), "no case of tests/cases/ gives {}", missing.join(", "));
}

/// A file that nothing reads is a case that nobody runs.
#[test]
fn there_is_nothing_else_among_the_cases() {
    let known = [case::ENTRY, case::ANSWER, case::EARLIER, case::PARAMETERS, case::OUTCOME];
    for entry in case::root().read_dir().unwrap() {
        let directory = entry.unwrap().path();
        assert!(directory.is_dir(), "{} is no folder of a case", directory.display());
        for file in directory.read_dir().unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(
                known.contains(&name.as_str()),
                "{}/{name}: a case has {known:?} and nothing else",
                directory.display()
            );
        }
    }
}
