//! A status as a table, for the operator.

use std::fmt::Write;

use jiff::Timestamp;

use crate::observe::{EntryStatus, Held, PolicyStatus, Status};
use crate::text::counted;

/// As kubectl has them, in words without spaces. Those after the eighth are of `-o wide`.
const HEADS: [&str; 11] = [
    "ENTRY",
    "SERVICE",
    "STATE",
    "ENDPOINTS",
    "LISTED",
    "LEFT-OUT",
    "LAST-NEWS",
    "LAST-WRITE",
    "HELD",
    "REVISION",
    "MODULE",
];

/// Which columns are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    Usual,
    /// All there are.
    Wide,
}

impl Columns {
    fn count(self) -> usize {
        match self {
            Self::Usual => 8,
            Self::Wide => HEADS.len(),
        }
    }
}

/// The whole status: the process, then a line for each entry, with its problems below.
pub(super) fn table(status: &Status, columns: Columns) -> String {
    text(status, columns, Timestamp::now(), std::env::var("POD_NAMESPACE").ok().as_deref())
}

/// The names of the entries, one a line, as kubectl takes them.
pub(super) fn names(status: &Status) -> String {
    let name = |entry: &EntryStatus| entry.entry.rsplit_once('/').map_or(entry.entry.clone(), |(_, name)| name.into());
    status.entries.iter().map(|entry| format!("serviceentry.networking.istio.io/{}\n", name(entry))).collect()
}

/// Shown by a pod of this namespace, if it is shown by one.
fn text(status: &Status, columns: Columns, now: Timestamp, namespace: Option<&str>) -> String {
    let mut text = format!("polaris2istio {}: {}\n", status.version, role(status));
    let mut line = |title: &str, what: &str| text.push_str(&format!("{title:<10}{what}\n"));
    if !status.leads {
        line("unknown", "holds, problems and last writes: only the leader knows them");
        if let Some(pod) = pod(&status.leader) {
            let namespace = namespace.map(|namespace| format!("-n {namespace} ")).unwrap_or_default();
            line("ask it", &format!("kubectl exec {namespace}{pod} -- polaris2istio status"));
        }
    }
    line("module", &status.module);
    for server in &status.registry {
        line("registry", &format!("{}, answered {} ago", server.address, age(server.last_answer, now)));
    }
    for policy in &status.policies {
        line("policy", &policy_line(policy));
    }
    if let Some(paused) = &status.paused {
        line("PAUSED", &paused.to_string());
    }
    for reason in status.writes_blocked.iter().filter(|reason| !["paused", "standby"].contains(&reason.as_str())) {
        line("no writes", reason);
    }
    if status.fleet_holds > 0 {
        line(
            "ALARM",
            &format!("many services lost their endpoints at once; those of {} entries are held", status.fleet_holds),
        );
    }
    for notice in &status.fleet_notices {
        line("NOTICE", notice);
    }
    for notice in &status.module_notices {
        line("MODULE", notice);
    }
    for reason in &status.unready {
        line("not ready", reason);
    }
    let states: Vec<_> = status.entries_by_state.iter().map(|(state, count)| format!("{count} {state}")).collect();
    line("entries", &if states.is_empty() { "none".into() } else { states.join(", ") });
    if !status.entries.is_empty() {
        text.push('\n');
        rows(&mut text, &status.entries, columns, now);
    }
    text
}

fn policy_line(policy: &PolicyStatus) -> String {
    let PolicyStatus { policy, services, entries, ready, reason, message, .. } = policy;
    let state = if *ready { "ready".into() } else { format!("{reason}: {message}") };
    format!("{policy}: {}, {}, {state}", counted(*services, "service"), counted(*entries, "entry"))
}

fn role(status: &Status) -> String {
    match (status.leads, status.identity.as_str(), status.leader.as_str()) {
        (true, "", _) => "writes".into(),
        (true, identity, _) => format!("{identity}, leads"),
        (false, identity, "") => format!("{identity}, stands by, nobody is known to lead"),
        (false, identity, leader) => format!("{identity}, stands by, {leader} leads"),
    }
}

/// The pod of a process: its name has a part after the pod's.
fn pod(identity: &str) -> Option<&str> {
    identity.rsplit_once('_').map(|(pod, _)| pod)
}

fn rows(text: &mut String, entries: &[EntryStatus], columns: Columns, now: Timestamp) {
    let cells: Vec<_> = entries.iter().map(|entry| row(entry, now)).collect();
    let width = |column: usize| {
        let cells = cells.iter().map(|row| row[column].chars().count());
        cells.chain([HEADS[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns.count()).map(width).collect();
    let mut line = |cells: &[String]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            // Writing to a String does not fail.
            let _ = write!(line, "{cell:<width$}   ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(&HEADS.map(String::from));
    for (entry, cells) in entries.iter().zip(&cells) {
        line(cells);
        for hold in &entry.holds {
            line(&[format!("  held {}: {}, {}", end(hold, now), counted(hold.endpoints, "endpoint"), hold.reason)]);
        }
        // The words of a hold tell how long it was to last when it began.
        for problem in entry.problems.iter().filter(|problem| entry.holds.is_empty() || problem.condition != "held") {
            line(&[format!("  {}: {}", problem.condition, problem.text)]);
        }
    }
}

/// The end of a hold: with the date if it is on another day, and always in UTC, as in the log.
pub(super) fn end(hold: &Held, now: Timestamp) -> String {
    let Some(until) = hold.until else { return "without end".into() };
    let day = |moment: Timestamp| moment.strftime("%F").to_string();
    let format = if day(until) == day(now) { "%T" } else { "%F %T" };
    format!("until {} UTC", until.strftime(format))
}

fn row(entry: &EntryStatus, now: Timestamp) -> [String; HEADS.len()] {
    let or_none = |moment: Option<Timestamp>| moment.map_or("-".into(), |moment| age(moment, now));
    let left_out: usize = entry.instances.left_out.values().sum();
    [
        entry.entry.clone(),
        if entry.service.is_empty() { "-".into() } else { entry.service.clone() },
        entry.state.clone(),
        entry.endpoints.to_string(),
        entry.instances.listed.map_or("-".into(), |listed| listed.to_string()),
        left_out.to_string(),
        or_none(entry.last_answer),
        or_none(entry.last_write.as_ref().map(|write| write.at)),
        entry.holds.iter().map(|hold| hold.endpoints).sum::<usize>().to_string(),
        if entry.revision.is_empty() { "-".into() } else { entry.revision.chars().take(12).collect() },
        if entry.module.is_empty() { "-".into() } else { entry.module.chars().take(19).collect() },
    ]
}

/// The age of a time, in one unit.
pub(super) fn age(moment: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(moment).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_what_is_wrong() {
        let hold = |kind: &str, reason: &str, until: Option<&str>| {
            let since = "2026-01-01T00:00:43Z";
            json!({"kind": kind, "reason": reason, "endpoints": 3, "since": since, "until": until})
        };
        let holds = json!([
            hold("removal", "3 of 4 vanished", Some("2026-01-01T00:01:13Z")),
            hold("empty", "the service lists no instance any more", Some("2026-01-02T00:00:00Z")),
            hold("module", "the module drops 3 of 4", None),
        ]);
        let entry = |entry: &str, state: &str, holds: serde_json::Value, problems: serde_json::Value| {
            json!({
                "entry": entry, "service": "shop/cart", "state": state, "endpoints": 12, "revision": "r", "module": "m",
                "instances": {"listed": 14, "leftOut": {"instance-isolated": 1, "instance-weight-zero": 1}},
                "lastAnswer": "2026-01-01T00:00:00Z", "lastWrite": null, "holds": holds, "problems": problems,
            })
        };
        let problem = json!([
            {"condition": "held", "text": "endpoints held for 30s: 3 of 4 vanished"},
            {"condition": "registry", "text": "no sound answer for service shop/cart"},
        ]);
        let status = serde_json::from_value(json!({
            "version": "1.2.3", "identity": "a_1", "leads": false, "leader": "b_2", "unready": [], "fleetHolds": 0, "writesBlocked": ["paused", "standby"],
            "paused": {"since": "2026-01-01T00:00:00Z", "reason": "restore"}, "polls": {}, "module": "default 0.1.0 sha256:1",
            "moduleNotices": ["the module 3f2a9c11d0aa waits for a person"],
            "registry": [{"address": "polaris:8090", "lastAnswer": "2026-01-01T00:01:00Z"}],
            "policies": [{"policy": "all", "services": 9, "entries": 8, "refused": 1, "gone": 0, "ready": false, "reason": "Refused", "message": "1 of 9"}],
            "entriesByState": {"synced": 1, "held": 1},
            "entries": [entry("polaris/cart", "synced", json!([]), json!([])), entry("polaris/a-long-name", "held", holds, problem)],
        }))
        .unwrap();
        let expected = "\
polaris2istio 1.2.3: a_1, stands by, b_2 leads
unknown   holds, problems and last writes: only the leader knows them
ask it    kubectl exec -n mesh b -- polaris2istio status
module    default 0.1.0 sha256:1
registry  polaris:8090, answered 3s ago
policy    all: 9 services, 8 entries, Refused: 1 of 9
PAUSED    all writes are paused since 2026-01-01T00:00:00Z: restore
MODULE    the module 3f2a9c11d0aa waits for a person
entries   1 held, 1 synced

ENTRY                 SERVICE     STATE    ENDPOINTS   LISTED   LEFT-OUT   LAST-NEWS   LAST-WRITE
polaris/cart          shop/cart   synced   12          14       2          63s         -
polaris/a-long-name   shop/cart   held     12          14       2          63s         -
  held until 00:01:13 UTC: 3 endpoints, 3 of 4 vanished
  held until 2026-01-02 00:00:00 UTC: 3 endpoints, the service lists no instance any more
  held without end: 3 endpoints, the module drops 3 of 4
  registry: no sound answer for service shop/cart
";
        let now = "2026-01-01T00:01:03Z".parse().unwrap();
        assert_eq!(text(&status, Columns::Usual, now, Some("mesh")), expected);
        let wide = text(&status, Columns::Wide, now, None);
        assert!(wide.contains("LAST-WRITE   HELD   REVISION   MODULE\n"), "{wide}");
        assert!(wide.contains("-            9      r          m\n"), "{wide}");
        assert_eq!(
            names(&status),
            "serviceentry.networking.istio.io/cart\nserviceentry.networking.istio.io/a-long-name\n"
        );
    }
}
