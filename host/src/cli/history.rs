//! `history`: the last changes of a running controller, of all entries or of one.

use std::process::ExitCode;

use clap::Args;

use super::module::live::LiveArgs;
use crate::control::Command;
use crate::rollout::{Forwarded, Question};
use crate::telemetry::HistoryEvent;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  kubectl exec -n polaris2istio deploy/polaris2istio -- polaris2istio history
  polaris2istio history polaris/reviews
  polaris2istio history -o json | jq '.[] | select(.kind == \"hold\")'

Any replica is asked, which asks the leader. It is in memory: a new leader begins with an empty one, the log has it all.
Times are in UTC, the newest is last.";

/// Arguments of `history`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct HistoryArgs {
    /// One entry, as NAMESPACE/NAME; without it the last changes of all
    #[arg(value_name = "ENTRY")]
    entry: Option<String>,
    #[command(flatten)]
    live: LiveArgs,
}

pub(super) fn history(args: &HistoryArgs) -> anyhow::Result<ExitCode> {
    let question = Forwarded::Ask(Question::History(args.entry.clone()));
    args.live.show(&Command::Forwarded(question), |events: &Vec<HistoryEvent>| match events.is_empty() {
        true => "nothing happened since this process began\n".into(),
        false => lines(events),
    })
}

/// One change a line, the newest last: a terminal shows its end.
pub(super) fn lines(events: &[HistoryEvent]) -> String {
    let kind = |event: &HistoryEvent| {
        let value = serde_json::to_value(event.kind).ok();
        value.as_ref().and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    let width = events.iter().map(|event| event.entry.chars().count()).max().unwrap_or_default();
    let line = |event: &HistoryEvent| {
        let cause = if event.cause.is_empty() { String::new() } else { format!(" ({})", event.cause) };
        let at = event.at.strftime("%F %T%.3f");
        let line = format!("{at}  {:<8}  {:<width$}  {}{cause}", kind(event), event.entry, event.text);
        line.chars().map(text::printable).chain(['\n']).collect::<String>()
    };
    events.iter().rev().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_is_last_and_nothing_steers_the_terminal() {
        let event = |number: u32, kind: &str, entry: &str, text: &str, cause: &str| json!({"number": number, "at": format!("2026-01-01T00:00:0{number}Z"), "kind": kind, "entry": entry, "text": text, "cause": cause});
        let events: Vec<HistoryEvent> = serde_json::from_value(json!([
            event(2, "write", "polaris/a", "1 endpoint added\u{1b}[2J", "revision r"),
            event(1, "leader", "", "this process writes", ""),
        ]))
        .unwrap();
        assert_eq!(
            lines(&events),
            "2026-01-01 00:00:01.000  leader               this process writes\n\
             2026-01-01 00:00:02.000  write     polaris/a  1 endpoint added\u{fffd}[2J (revision r)\n"
        );
    }
}
