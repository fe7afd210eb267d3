//! A module's answer, moved from the generated types of the host's bindings into the shared model.

use polaris2istio_core::model::{
    Diagnostic, Endpoint, MeshLocation, Outcome, Port, Resolution, Severity, Subject, Update, Verdict,
};

use super::bindings::wit;

pub(super) fn lift(outcome: wit::Outcome) -> Outcome {
    Outcome {
        verdict: match outcome.verdict {
            wit::Verdict::Unchanged => Verdict::Unchanged,
            wit::Verdict::Update(update) => Verdict::Update(lift_update(update)),
            wit::Verdict::Rejected => Verdict::Rejected,
        },
        diagnostics: outcome.diagnostics.into_iter().map(diagnostic).collect(),
    }
}

fn lift_update(update: wit::Update) -> Update {
    Update {
        resolution: update.resolution.map(resolution),
        location: update.location.map(location),
        ports: update.ports.into_iter().map(port).collect(),
        endpoints: update.endpoints.into_iter().map(endpoint).collect(),
        annotations: update.annotations,
        content_revision: update.content_revision,
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

fn diagnostic(diagnostic: wit::Diagnostic) -> Diagnostic {
    Diagnostic {
        severity: match diagnostic.severity {
            wit::Severity::Info => Severity::Info,
            wit::Severity::Warning => Severity::Warning,
            wit::Severity::Error => Severity::Error,
        },
        code: diagnostic.code,
        subject: match diagnostic.subject {
            wit::Subject::Entry => Subject::Entry,
            wit::Subject::Service => Subject::Service,
            wit::Subject::Instance(position) => Subject::Instance(position),
            wit::Subject::Port(name) => Subject::Port(name),
            wit::Subject::Annotation(key) => Subject::Annotation(key),
            wit::Subject::Field(path) => Subject::Field(path),
        },
        message: diagnostic.message,
        remedy: diagnostic.remedy,
    }
}
