//! The rules in their order, from a request to an outcome.

use crate::annotation;
use crate::binding::Binding;
use crate::content::Content;
use crate::diagnostic::{Code, Diagnostics, Rejected};
use crate::endpoint::{Endpoints, Member};
use crate::fitness;
use crate::identity::Identities;
use crate::model::{Entry, Failure, MeshLocation, ModuleInfo, Outcome, Request, Resolution, Subject, Verdict};
use crate::parameters::Parameters;
use crate::ports::ServicePorts;
use crate::quote::Tally;
use crate::{health, limits, location, protocol, resolution, revision};

/// Says what these rules are.
pub fn describe() -> ModuleInfo {
    ModuleInfo {
        name: "default".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        summary: "The default rules of polaris2istio: one service port per port name or protocol, one endpoint per fit address."
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
    let (location, identities) = check_entry(entry, parameters, diagnostics)?;
    let asked = annotation::find(&entry.annotations, annotation::PROTOCOL).unwrap_or_default();
    let mut candidates = fitness::candidates(&request.service.instances, asked, parameters, diagnostics);
    let mut ports = ServicePorts::of(entry, diagnostics);
    if ports.are_declared() {
        ports.join_declared(&mut candidates, asked.eq_ignore_ascii_case(protocol::ANY), diagnostics);
    }
    let kind = resolution::kind(entry, &candidates, diagnostics);
    resolution::retain(kind, &mut candidates, diagnostics);
    if !ports.are_declared() {
        ports.derive(&mut candidates, diagnostics)?;
    }
    let threshold = health::protect_threshold(&request.service, diagnostics);
    let members = health::members(&candidates, &ports, threshold, diagnostics);
    report_unknown_protocols(&members, diagnostics);
    let endpoints = Endpoints::of(members, &identities, diagnostics);
    endpoints.report_phantoms(&ports, diagnostics);
    report_external_identity(entry, location, &endpoints, diagnostics);
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
fn check_entry<'a>(
    entry: &'a Entry,
    parameters: &'a Parameters,
    diagnostics: &mut Diagnostics,
) -> Result<(Option<MeshLocation>, Identities<'a>), Rejected> {
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
    let identities = Identities::read(&entry.annotations, parameters, diagnostics)?;
    if diagnostics.0.len() > before { Err(Rejected) } else { Ok((location, identities)) }
}

fn report_unknown_protocols(members: &[Member<'_>], diagnostics: &mut Diagnostics) {
    let mut unknown = Tally::default();
    for Member { candidate, .. } in members {
        if candidate.registered.is_unknown_protocol() {
            unknown.add(&candidate.instance.protocol);
        }
    }
    if unknown.count() > 0 {
        diagnostics.add(
            Code::ProtocolUnknown,
            Subject::Service,
            format!(
                "{} instances have a protocol that Istio does not know, which is TCP to it: {}",
                unknown.count(),
                unknown.examples()
            ),
            "Where it is one that Istio knows, register its name, or declare a port for it and set the annotation aeraki.net/protocol to any.",
        );
    }
}

/// istiod has proxies speak mutual TLS to endpoints with a service account, but not where the entry is outside the mesh.
fn report_external_identity(
    entry: &Entry,
    location: Option<MeshLocation>,
    endpoints: &Endpoints<'_>,
    diagnostics: &mut Diagnostics,
) {
    if location.or(entry.location) != Some(MeshLocation::MeshInternal)
        && endpoints.list.iter().any(|draft| draft.identity.service_account.is_some())
    {
        diagnostics.add(
            Code::ServiceAccountExternal,
            Subject::Field("spec.location".to_owned()),
            "the endpoints have a service account, and the entry is MESH_EXTERNAL, to which Istio speaks plain text: workloads under STRICT refuse it"
                .to_owned(),
            "Set the annotation aeraki.net/external to \"false\", or spec.location to MESH_INTERNAL.",
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
