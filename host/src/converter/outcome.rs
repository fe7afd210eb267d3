//! A module's answer, moved from the generated types of the host's bindings into the shared model, and its words cut and escaped
//! on the way: they go into logs, Events, a ConfigMap and terminals, and a module may say ten megabytes of them.

use polaris2istio_core::model::{
    Diagnostic, Endpoint, MeshLocation, Outcome, Port, Resolution, Severity, Subject, Update, Verdict,
};

use super::bindings::wit;
use crate::text;

/// The longest message, remedy or failure, in characters.
pub(super) const MESSAGE: usize = 1_000;
/// The longest name: a code, a port, a key.
const NAME: usize = 300;
/// Diagnostics of one answer: a few for each instance of the largest service that fits an entry.
const DIAGNOSTICS: usize = 16_384;
/// All their words together, in bytes.
const WORDS: usize = 2 << 20;
/// The longest content revision, in bytes. One that is longer counts as none: it is kept for every entry.
const REVISION: usize = 4 << 10;

pub(super) fn lift(outcome: wit::Outcome) -> Outcome {
    Outcome {
        verdict: match outcome.verdict {
            wit::Verdict::Unchanged => Verdict::Unchanged,
            wit::Verdict::Update(update) => Verdict::Update(lift_update(update)),
            wit::Verdict::Rejected => Verdict::Rejected,
        },
        diagnostics: diagnostics(outcome.diagnostics),
    }
}

fn lift_update(update: wit::Update) -> Update {
    Update {
        resolution: update.resolution.map(resolution),
        location: update.location.map(location),
        ports: update.ports.into_iter().map(port).collect(),
        endpoints: update.endpoints.into_iter().map(endpoint).collect(),
        annotations: update.annotations,
        content_revision: update.content_revision.filter(|revision| revision.len() <= REVISION),
    }
}

fn port(port: wit::Port) -> Port {
    Port { name: port.name, number: port.number, protocol: port.protocol, target_port: port.target_port }
}

fn endpoint(endpoint: wit::Endpoint) -> Endpoint {
    Endpoint {
        address: endpoint.address,
        ports: endpoint.ports,
        labels: endpoint.labels,
        weight: endpoint.weight,
        locality: endpoint.locality,
        service_account: endpoint.service_account,
        network: endpoint.network,
        instances: endpoint.instances,
    }
}

fn resolution(resolution: wit::Resolution) -> Resolution {
    match resolution {
        wit::Resolution::None => Resolution::None,
        wit::Resolution::Static => Resolution::Static,
        wit::Resolution::Dns => Resolution::Dns,
        wit::Resolution::DnsRoundRobin => Resolution::DnsRoundRobin,
        wit::Resolution::DynamicDns => Resolution::DynamicDns,
    }
}

fn location(location: wit::MeshLocation) -> MeshLocation {
    match location {
        wit::MeshLocation::MeshExternal => MeshLocation::MeshExternal,
        wit::MeshLocation::MeshInternal => MeshLocation::MeshInternal,
    }
}

/// As many diagnostics as fit, and how many there are more.
fn diagnostics(said: Vec<wit::Diagnostic>) -> Vec<Diagnostic> {
    let (all, mut room, mut kept) = (said.len(), WORDS, Vec::new());
    for one in said.into_iter().take(DIAGNOSTICS).map(diagnostic) {
        let size = one.code.len() + one.message.len() + one.remedy.len();
        let Some(rest) = room.checked_sub(size) else { break };
        room = rest;
        kept.push(one);
    }
    if kept.len() < all {
        let message = format!("the module says {} more of these, which are left out", all - kept.len());
        let (code, remedy) = ("diagnostics-left-out".into(), "let it say less, once for what it says of many".into());
        kept.push(Diagnostic { severity: Severity::Warning, code, subject: Subject::Service, message, remedy });
    }
    kept
}

fn diagnostic(diagnostic: wit::Diagnostic) -> Diagnostic {
    let name = |text: String| text::shown(&text, NAME);
    Diagnostic {
        severity: match diagnostic.severity {
            wit::Severity::Info => Severity::Info,
            wit::Severity::Warning => Severity::Warning,
            wit::Severity::Error => Severity::Error,
        },
        code: name(diagnostic.code),
        subject: match diagnostic.subject {
            wit::Subject::Entry => Subject::Entry,
            wit::Subject::Service => Subject::Service,
            wit::Subject::Instance(position) => Subject::Instance(position),
            wit::Subject::Port(port) => Subject::Port(name(port)),
            wit::Subject::Annotation(key) => Subject::Annotation(name(key)),
            wit::Subject::Field(path) => Subject::Field(name(path)),
        },
        message: text::shown(&diagnostic.message, MESSAGE),
        remedy: text::shown(&diagnostic.remedy, MESSAGE),
    }
}
