//! Metrics that are read when somebody asks: states, not events.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Unit;

use super::view::{Reported, View};
use super::words::{BLOCK_REASONS, STATES, state};
use crate::controller::SyncStatus;
use crate::guard::NoticeKind;
use crate::policy::{PolicyReports, Report};
use crate::telemetry::Condition;

/// Kinds of holds, each a series from the start.
const HOLDS: [&str; 6] = ["empty", "removal", "fleet", "rebound", "module", "annotation"];
/// The metrics that are read from a view.
pub struct Collected {
    view: View,
    per_entry: bool,
}

type Series<V> = Vec<(Vec<(&'static str, String)>, V)>;

impl Collected {
    /// With series of their own for entries, which may be many, or without.
    pub fn new(view: View, per_entry: bool) -> Self {
        Self { view, per_entry }
    }

    fn process(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let leads = i64::from(*self.view.leads.borrow());
        gauge(encoder, "leader", "Whether this process is the one that writes", [(vec![], leads)].into())?;
        let blocked = self.view.blocked();
        let reasons = BLOCK_REASONS
            .iter()
            .map(|(reason, word)| (vec![("reason", (*word).into())], i64::from(blocked.contains(reason))));
        gauge(encoder, "writes_blocked", "Whether nothing is written for this reason", reasons.collect())?;
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        info(encoder, "build", "The release", version)?;
        let active = self.view.modules.active();
        let module = active.info();
        let labels = vec![
            ("name", module.name.clone()),
            ("version", module.version.clone()),
            ("digest", active.identity().module.to_string()),
        ];
        info(encoder, "module", "The active conversion module", labels)?;
        self.other_modules(encoder)
    }

    fn other_modules(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let (stats, state) = (self.view.modules.stats(), self.view.state.borrow().clone());
        let failed = i64::from(stats.source_trouble().is_some());
        let help = "Whether the module's source gives none that can be used";
        gauge(encoder, "module_source_failed", help, [(vec![], failed)].into())?;
        let waits = i64::from(state.module.candidate.is_some());
        let help = "Whether a conversion module waits for a person";
        gauge(encoder, "module_candidate_waiting", help, [(vec![], waits)].into())?;
        let events = stats.events().map(|(kind, count)| (vec![("event", kind.word().into())], count));
        counter(encoder, "module_events", "What happened to conversion modules by this process", events.collect())
    }

    fn registry(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let counts = self.view.stats.figures();
        // A rate needs a first value; trouble has a series when there was some.
        let mut results: BTreeMap<&str, u64> = ["listed", "missing", "unchanged"].map(|result| (result, 0)).into();
        results.extend(counts.results.iter().map(|(result, count)| (*result, *count)));
        let polls = results.into_iter().map(|(result, count)| (vec![("result", result.into())], count));
        counter(encoder, "polls", "Questions to the registry by what came of them", polls.collect())?;
        let answering = i64::from(self.view.answering(&counts));
        gauge(encoder, "registry_answering", "Whether the registry answers", [(vec![], answering)].into())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let answered = counts.answered.iter().map(|(server, at)| {
            (vec![("server", server.clone())], now - Instant::now().duration_since(*at).as_secs_f64())
        });
        let help = "When this server last gave an answer, as Unix time";
        seconds(encoder, "registry_last_answer_timestamp", help, answered.collect())
    }

    fn entries(&self, encoder: &mut DescriptorEncoder, entries: &[Reported]) -> fmt::Result {
        let leads = *self.view.leads.borrow();
        let mut states: BTreeMap<&str, i64> = STATES.map(|state| (state, 0)).into();
        let mut holds: BTreeMap<&str, i64> = HOLDS.map(|kind| (kind, 0)).into();
        let mut problems: BTreeMap<&str, i64> = Condition::ALL.map(|condition| (condition.word(), 0)).into();
        let mut endpoints = 0;
        for (entry, _, report) in entries {
            *states.entry(state(report.status, leads)).or_default() += 1;
            for hold in &report.holds {
                *holds.entry(hold.kind.as_str()).or_default() += 1;
            }
            for condition in report.problems.keys() {
                *problems.entry(condition.word()).or_default() += 1;
            }
            endpoints += entry.spec.endpoints.len() as i64;
        }
        let series = |label, counts: BTreeMap<&'static str, i64>| -> Series<i64> {
            counts.into_iter().map(|(value, count)| (vec![(label, value.into())], count)).collect()
        };
        gauge(encoder, "entries", "ServiceEntries by how their last reconciliation ended", series("state", states))?;
        gauge(
            encoder,
            "holds",
            "ServiceEntries whose endpoints are kept although they would have disappeared",
            series("kind", holds),
        )?;
        let alarm = i64::from(self.view.holds.alarm().is_some());
        let help = "Whether so many services lost their endpoints at once that all disappearances are held";
        gauge(encoder, "fleet_alarm", help, [(vec![], alarm)].into())?;
        let mut notices: BTreeMap<&str, i64> = NoticeKind::ALL.map(|kind| (kind.as_str(), 0)).into();
        notices.extend(self.view.holds.notices().iter().map(|notice| (notice.kind.as_str(), 1)));
        let help = "Whether this is so of all services together: many isolated, or all of a few lost";
        gauge(encoder, "fleet_notices", help, series("kind", notices))?;
        gauge(encoder, "problems", "ServiceEntries by what is wrong with them", series("problem", problems))?;
        gauge(encoder, "endpoints", "Endpoints of all ServiceEntries", [(vec![], endpoints)].into())?;
        if self.per_entry { self.each(encoder, entries, leads) } else { Ok(()) }
    }

    fn policies(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let policies = self.view.policies.as_deref();
        let count = |of: fn(&PolicyReports) -> u64| [(vec![], policies.map_or(0, of))].into();
        counter(encoder, "imported", "Entries that policies made", count(PolicyReports::imported))?;
        counter(encoder, "pruned", "Entries that policies deleted after their services", count(PolicyReports::pruned))?;
        let reports = policies.map(PolicyReports::all).unwrap_or_default();
        let each = |value: fn(&Report) -> i64| {
            reports.iter().map(|(name, report)| (vec![("policy", name.clone())], value(report))).collect()
        };
        let ready = each(|report| i64::from(report.is_ready()));
        gauge(encoder, "policy_ready", "Whether the policy is carried out wholly", ready)?;
        let entries = each(|report| i64::try_from(report.entries).unwrap_or(i64::MAX));
        gauge(encoder, "policy_entries", "Entries that are the policy's", entries)?;
        let refused = each(|report| i64::try_from(report.refused.len()).unwrap_or(i64::MAX));
        gauge(encoder, "refused", "Services that the policy selects and that have no entry", refused)
    }

    fn each(&self, encoder: &mut DescriptorEncoder, entries: &[Reported], leads: bool) -> fmt::Result {
        let each =
            entries.iter().map(|(entry, _, _)| (vec![("entry", entry.title())], entry.spec.endpoints.len() as i64));
        gauge(encoder, "entry_endpoints", "Endpoints of each ServiceEntry", each.collect())?;
        // A standby does not know what the leader writes.
        let each = entries.iter().filter(|_| leads).map(|(entry, _, report)| {
            (vec![("entry", entry.title())], i64::from(report.status == Some(SyncStatus::Synced)))
        });
        gauge(encoder, "entry_in_sync", "Whether the ServiceEntry is as it should be", each.collect())
    }
}

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.process(&mut encoder)?;
        self.registry(&mut encoder)?;
        self.policies(&mut encoder)?;
        self.entries(&mut encoder, &self.view.entries())
    }
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected").finish_non_exhaustive()
    }
}

fn gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, series: Series<i64>) -> fmt::Result {
    let mut encoder = encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
    for (labels, value) in series {
        ConstGauge::new(value).encode(encoder.encode_family(&labels)?)?;
    }
    Ok(())
}

fn seconds(encoder: &mut DescriptorEncoder, name: &str, help: &str, series: Series<f64>) -> fmt::Result {
    let mut encoder = encoder.encode_descriptor(name, &format!("{help}."), Some(&Unit::Seconds), MetricType::Gauge)?;
    for (labels, value) in series {
        ConstGauge::new(value).encode(encoder.encode_family(&labels)?)?;
    }
    Ok(())
}

fn counter(encoder: &mut DescriptorEncoder, name: &str, help: &str, series: Series<u64>) -> fmt::Result {
    let mut encoder = encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Counter)?;
    for (labels, value) in series {
        ConstCounter::new(value).encode(encoder.encode_family(&labels)?)?;
    }
    Ok(())
}

fn info(encoder: &mut DescriptorEncoder, name: &str, help: &str, labels: Vec<(&'static str, String)>) -> fmt::Result {
    let encoder = encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Info)?;
    Info::new(labels).encode(encoder)
}
