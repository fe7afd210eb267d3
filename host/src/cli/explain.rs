//! `explain`: what becomes of every instance, and why, of files or in a running controller.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use polaris2istio_core::model::Severity;

use super::explain_text::{fates, live};
use super::module::live::SocketArgs;
use super::offline::{Offline, OfflineArgs, print};
use super::output::Output;
use crate::control::Command;
use crate::dns::{DnsEntry, Mode, Names, Settings, names};
use crate::observe::{Explanation, LiveExplanation, Reason};
use crate::rollout::{Forwarded, Question};

const EXAMPLES: &str = "\
Examples:
  kubectl exec -n polaris2istio deploy/polaris2istio -- polaris2istio explain polaris/reviews
  polaris2istio explain --entry entry.yaml --answer answer.json
  polaris2istio explain --entry entry.yaml --answer answer.json --dns records
  polaris2istio explain --entry entry.yaml --answer answer.json -o json | jq '.instances[] | select(.endpoint == null)'

With an entry's name the running controller is asked: any replica, which asks the leader. With files nothing runs.
Exit code 1 where the rules reject the entry.";

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// An entry of the running controller, as NAMESPACE/NAME
    #[arg(value_name = "ENTRY", conflicts_with_all = ["entry", "answer"])]
    name: Option<String>,
    /// A file with one ServiceEntry (YAML or JSON); with its managedFields where it comes from a cluster
    #[arg(long, value_name = "FILE", required_unless_present = "name", requires = "answer")]
    entry: Option<PathBuf>,
    /// A file with a Polaris answer, as POST /v1/Discover gives it
    #[arg(long, value_name = "FILE", required_unless_present = "name", requires = "entry")]
    answer: Option<PathBuf>,
    #[command(flatten)]
    offline: OfflineArgs,
    /// What the controller's --dns is: what the entry's names become is printed too
    #[arg(long, value_name = "MODE", default_value = "off")]
    dns: Mode,
    /// What the controller's --cluster-domain is
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,
    #[command(flatten)]
    socket: SocketArgs,
    /// How it is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    match (&args.name, &args.entry, &args.answer) {
        (Some(name), ..) => args.of_controller(name),
        (None, Some(entry), Some(answer)) => args.of_files(args.offline.convert(entry, answer)?),
        // The parser asks for either.
        _ => anyhow::bail!("explain: neither an entry nor files; give NAMESPACE/NAME, or --entry and --answer"),
    }
}

impl ExplainArgs {
    fn of_controller(&self, name: &str) -> anyhow::Result<ExitCode> {
        let question = Forwarded::Ask(Question::Explain(name.into()));
        let value = self.socket.ask(&Command::Forwarded(question))?;
        let explanation: LiveExplanation =
            serde_json::from_value(value).context("the controller is of another release")?;
        match self.output.data() {
            Some(format) => print(&explanation, format)?,
            None => stdout().lock().write_all(live(&explanation, jiff::Timestamp::now()).as_bytes())?,
        }
        let rejected = explanation.explanation.is_some_and(|explanation| explanation.verdict.starts_with("rejected"));
        Ok(if rejected { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    fn of_files(&self, mut offline: Offline) -> anyhow::Result<ExitCode> {
        let update = offline.update();
        let (entry, missing) = (offline.document.entry.title(), offline.is_missing());
        let mut explanation = Explanation::new(entry, &offline.service, missing, &offline.outcome, update.as_ref());
        explanation.notes.extend(self.names(&offline));
        let rejected = update.is_none();
        // What cannot be written is explained first.
        let written = update.map(|update| self.offline.apply(&offline, update)).transpose();
        let holds =
            written.as_ref().ok().and_then(Option::as_ref).map(|written| written.holds.as_slice()).unwrap_or_default();
        let remarks: Vec<_> = offline.remarks.iter().chain(holds).collect();
        if let Some(verdict) = remarks.iter().find_map(|remark| remark.verdict).filter(|_| !rejected) {
            explanation.verdict = verdict.into();
        }
        if written.is_err() {
            explanation.verdict = "not written: the entry is left as it is".into();
        }
        let notes = remarks.into_iter().map(|remark| Reason::new(remark.severity, remark.code, remark.text.clone()));
        explanation.notes.extend(notes);
        match self.output.data() {
            Some(format) => print(&explanation, format)?,
            None => stdout().lock().write_all(fates(&explanation).as_bytes())?,
        }
        written?;
        Ok(if rejected { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    /// What becomes of the entry's names, as it is now.
    fn names(&self, offline: &Offline) -> Vec<Reason> {
        let entry = DnsEntry::new(&offline.document.entry, "");
        let settings = Settings { mode: self.dns, cluster_domain: self.cluster_domain.clone() };
        let Names { records, refusals } = names(&entry, &settings);
        let records = records.into_iter().flatten();
        let published = records.map(|record| Reason::new(Severity::Info, "dns-record", record.to_string()));
        let refused =
            refusals.iter().map(|refusal| Reason::new(Severity::Warning, refusal.code(), refusal.to_string()));
        published.chain(refused).collect()
    }
}
