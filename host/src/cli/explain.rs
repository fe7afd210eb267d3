//! `explain`: what becomes of every instance, and why.

use std::process::ExitCode;

use clap::Args;
use polaris2istio_core::address::Address;
use polaris2istio_core::model::{Diagnostic, Instance, Severity, Subject, Update};
use serde::Serialize;

use super::offline::{Offline, OfflineArgs, print, severity};
use super::output::Output;
use crate::controller::line;
use crate::dns::{DnsEntry, Mode, Names, Settings, names};
use crate::rollout::line as endpoint_line;
use crate::title::title;

const EXAMPLES: &str = "\
Examples:
  polaris2istio explain --entry entry.yaml --answer answer.json
  polaris2istio explain --entry entry.yaml --answer answer.json --dns records
  polaris2istio explain --entry entry.yaml --answer answer.json -o json | jq '.instances[] | select(.endpoint == null)'

Exit code 1 where the rules reject the entry.";

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    offline: OfflineArgs,
    /// What the controller's --dns is: what the entry's names become is printed too
    #[arg(long, value_name = "MODE", default_value = "off")]
    dns: Mode,
    /// What the controller's --cluster-domain is
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,
    /// How it is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

/// What becomes of an entry.
#[derive(Debug, Serialize)]
struct Explanation {
    entry: String,
    service: String,
    verdict: &'static str,
    instances: Vec<Fate>,
    /// What concerns no single instance.
    notes: Vec<Reason>,
}

/// What becomes of an instance.
#[derive(Debug, Serialize)]
struct Fate {
    id: String,
    host: String,
    port: u32,
    protocol: String,
    weight: u32,
    healthy: bool,
    isolated: bool,
    /// Address and ports; null where it is left out.
    endpoint: Option<String>,
    reasons: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct Reason {
    severity: &'static str,
    code: String,
    text: String,
}

pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let mut offline = args.offline.convert()?;
    let update = offline.update();
    let mut explanation = explanation(&offline, update.as_ref());
    explanation.notes.extend(args.names(&offline));
    let rejected = update.is_none();
    // What cannot be written is explained first.
    let written = update.map(|update| args.offline.apply(&offline, update)).transpose();
    let holds =
        written.as_ref().ok().and_then(Option::as_ref).map(|written| written.holds.as_slice()).unwrap_or_default();
    let remarks: Vec<_> = offline.remarks.iter().chain(holds).collect();
    if let Some(verdict) = remarks.iter().find_map(|remark| remark.verdict).filter(|_| !rejected) {
        explanation.verdict = verdict;
    }
    if written.is_err() {
        explanation.verdict = "not written: the entry is left as it is";
    }
    explanation.notes.extend(remarks.into_iter().map(|remark| Reason {
        severity: severity(remark.severity),
        code: remark.code.into(),
        text: remark.text.clone(),
    }));
    match args.output.data() {
        Some(format) => print(&explanation, format)?,
        None => write_text(&explanation)?,
    }
    written?;
    Ok(if rejected { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

impl ExplainArgs {
    /// What becomes of the entry's names, as it is now.
    fn names(&self, offline: &Offline) -> Vec<Reason> {
        let entry = DnsEntry::new(&offline.document.entry, "");
        let settings = Settings { mode: self.dns, cluster_domain: self.cluster_domain.clone() };
        let Names { records, refusals } = names(&entry, &settings);
        let published = records.into_iter().flatten().map(|record| Reason {
            severity: severity(Severity::Info),
            code: "dns-record".into(),
            text: record.to_string(),
        });
        let refused = refusals.iter().map(|refusal| Reason {
            severity: severity(Severity::Warning),
            code: refusal.code().into(),
            text: refusal.to_string(),
        });
        published.chain(refused).collect()
    }
}

fn explanation(offline: &Offline, update: Option<&Update>) -> Explanation {
    let Offline { document, service, outcome, .. } = offline;
    // What stands at one address stands together.
    let mut instances: Vec<_> = (0..).zip(&service.instances).collect();
    instances.sort_by_key(|&(_, instance)| {
        let address = Address::read(&instance.host);
        (address.is_none(), address, &instance.host, instance.port)
    });
    let notes = outcome.diagnostics.iter().filter(|diagnostic| !matches!(diagnostic.subject, Subject::Instance(_)));
    Explanation {
        entry: document.entry.title(),
        service: title(&service.namespace, &service.name) + if offline.is_missing() { " (does not exist)" } else { "" },
        verdict: if update.is_some() { "converted" } else { "rejected: the entry is left as it is" },
        instances: instances
            .into_iter()
            .map(|(position, instance)| fate(position, instance, update, &outcome.diagnostics))
            .collect(),
        notes: notes.map(|diagnostic| reason(diagnostic, line(diagnostic, service))).collect(),
    }
}

fn fate(position: u32, instance: &Instance, update: Option<&Update>, diagnostics: &[Diagnostic]) -> Fate {
    let mut endpoints = update.into_iter().flat_map(|update| &update.endpoints);
    let endpoint = endpoints.find(|endpoint| endpoint.instances.contains(&position));
    let about = diagnostics.iter().filter(|diagnostic| diagnostic.subject == Subject::Instance(position));
    let text = |diagnostic: &Diagnostic| match diagnostic.remedy.as_str() {
        "" => diagnostic.message.clone(),
        remedy => format!("{}. {remedy}", diagnostic.message),
    };
    Fate {
        id: instance.id.clone(),
        host: instance.host.clone(),
        port: instance.port,
        protocol: instance.protocol.clone(),
        weight: instance.weight,
        healthy: instance.healthy,
        isolated: instance.isolated,
        endpoint: endpoint.map(endpoint_line),
        reasons: about.map(|diagnostic| reason(diagnostic, text(diagnostic))).collect(),
    }
}

fn reason(diagnostic: &Diagnostic, text: String) -> Reason {
    Reason { severity: severity(diagnostic.severity), code: diagnostic.code.clone(), text }
}

fn write_text(explanation: &Explanation) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let Explanation { entry, service, verdict, instances, notes } = explanation;
    writeln!(out, "{entry} <- {service}: {verdict}")?;
    for fate in instances {
        let protocol = if fate.protocol.is_empty() { "-".into() } else { fate.protocol.escape_debug().to_string() };
        writeln!(out, "\n  {}:{} {protocol} weight {}", fate.host.escape_debug(), fate.port, fate.weight)?;
        match &fate.endpoint {
            Some(endpoint) => writeln!(out, "    becomes  {endpoint}")?,
            None => writeln!(out, "    left out")?,
        }
        for reason in &fate.reasons {
            writeln!(out, "    {}: {}", reason.code, reason.text)?;
        }
    }
    if !notes.is_empty() {
        writeln!(out)?;
    }
    for note in notes {
        writeln!(out, "  {} {}: {}", note.severity, note.code, note.text)?;
    }
    Ok(())
}
