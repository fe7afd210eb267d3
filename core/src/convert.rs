//! The rules in their order, from a request to an outcome.

use crate::annotation;
use crate::binding::Binding;
use crate::content::Content;
use crate::diagnostic::{Code, Diagnostics, Rejected};
use crate::endpoint::Endpoints;
use crate::fitness::{self, Candidate};
use crate::model::{Entry, Failure, MeshLocation, ModuleInfo, Outcome, Request, Resolution, Subject, Verdict};
use crate::parameters::Parameters;
use crate::ports::ServicePorts;
use crate::protocol::Protocol;
use crate::quote::Tally;
use crate::{health, limits, location, resolution, revision};

/// Says what these rules are.
pub fn describe() -> ModuleInfo {
    ModuleInfo {
        name: "default".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        summary: "The default rules of polaris2istio: one service port per protocol, one endpoint per fit instance."
            .to_owned(),
    }
}

/// Converts one service for one entry by the default rules.
///
/// The same request gives the same outcome, and the order of instances changes nothing but their positions.
///
/// # Errors
/// A failure where a parameter is unknown or cannot be read. All that is wrong with the entry or the answer is an outcome.
pub fn convert(request: &Request) -> Result<Outcome, Failure> {
    let parameters = Parameters::read(&request.parameters)?;
    let mut diagnostics = Diagnostics::default();
    let verdict = judge(request, &parameters, &mut diagnostics).unwrap_or(Verdict::Rejected);
    Ok(Outcome { verdict, diagnostics: diagnostics.0 })
}

fn judge(request: &Request, parameters: &Parameters, diagnostics: &mut Diagnostics) -> Result<Verdict, Rejected> {
    let entry = &request.entry;
    let location = check_entry(entry, diagnostics)?;
    let asked = annotation::find(&entry.annotations, annotation::PROTOCOL).unwrap_or_default();
    let mut candidates = fitness::candidates(&request.service.instances, asked, parameters, diagnostics);
    let mut ports = ServicePorts::of(entry, diagnostics);
    if ports.are_declared() {
        ports.join_declared(&mut candidates, diagnostics);
    }
    let kind = resolution::kind(entry, &candidates, diagnostics);
    resolution::retain(kind, &mut candidates, diagnostics);
    health::select(&mut candidates, diagnostics);
    if !ports.are_declared() {
        ports.derive(&mut candidates, diagnostics)?;
    }
    report_unknown_protocols(&candidates, diagnostics);
    let endpoints = Endpoints::of(&candidates, &ports, diagnostics);
    let has_endpoints = !endpoints.list.is_empty();
    if !has_endpoints {
        report_none(request, diagnostics);
    }
    let resolution = resolution::settle(entry, kind, has_endpoints, diagnostics)?;
    if !matches!(resolution, None | Some(Resolution::None)) {
        ports.check_hosts(entry, diagnostics)?;
    }
    let content = Content { resolution, location, ports: &ports, endpoints: &endpoints };
    limits::check(entry, &content, diagnostics)?;
    ports.report_new(diagnostics);
    let revision = revision::of_content(&content);
    if request.published.as_ref() == Some(&revision) {
        return Ok(Verdict::Unchanged);
    }
    Ok(Verdict::Update(content.build(revision)))
}

/// What must hold of the entry whatever the service is; all that does not is said at once.
fn check_entry(entry: &Entry, diagnostics: &mut Diagnostics) -> Result<Option<MeshLocation>, Rejected> {
    let before = diagnostics.0.len();
    if let Err(errors) = Binding::read(&entry.annotations) {
        diagnostics.0.extend(errors);
    }
    let location = location::read(&entry.annotations).unwrap_or_else(|error| {
        diagnostics.0.push(error);
        None
    });
    if entry.has_workload_selector {
        diagnostics.reject(
            Code::WorkloadSelector,
            Subject::Field("spec.workloadSelector".to_owned()),
            "the entry has a workloadSelector, which excludes endpoints".to_owned(),
            "Remove the workloadSelector, or the label registry: polaris from the entry.",
        );
    }
    // What it refuses stands among the diagnostics.
    let _ = resolution::check(entry, diagnostics);
    if diagnostics.0.len() > before { Err(Rejected) } else { Ok(location) }
}

fn report_unknown_protocols(candidates: &[Candidate<'_>], diagnostics: &mut Diagnostics) {
    let mut unknown = Tally::default();
    for candidate in candidates {
        let registered = candidate.instance.protocol.as_str();
        if candidate.protocol == Protocol::TCP && !registered.is_empty() && Protocol::known(registered).is_none() {
            unknown.add(registered);
        }
    }
    if unknown.count() > 0 {
        diagnostics.add(
            Code::ProtocolUnknown,
            Subject::Service,
            format!(
                "{} instances have a protocol that Istio does not know and are served as TCP: {}",
                unknown.count(),
                unknown.examples()
            ),
            "",
        );
    }
}

fn report_none(request: &Request, diagnostics: &mut Diagnostics) {
    let message = match request.service.instances.len() {
        0 => "the registry lists no instance of the service".to_owned(),
        count => format!("none of the {count} instances that the registry lists can take traffic"),
    };
    diagnostics.add(
        Code::NoEndpoints,
        Subject::Service,
        format!("{message}; no endpoint comes of it, and the entry keeps its ports and resolution"),
        "See the registry, and what is said of each instance.",
    );
}
