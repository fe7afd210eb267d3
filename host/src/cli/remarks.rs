//! The remarks on an entry that a running controller would make beside the module: whether it serves it at all, whether it may
//! write it, and what its guard would hold.

use std::time::{Duration, Instant};

use polaris2istio_core::model::Severity;

use crate::controller::paused;
use crate::entries::{LABELS, selected};
use crate::guard::{Fleet, Guard, GuardInput, HoldTime, Origins, Settings};
use crate::istio::ServiceEntry;
use crate::percent::Percent;
use crate::plan::{AddressRule, Desired};
use crate::registry::Content;
use crate::text::counted;

/// One of them.
pub(super) struct Remark {
    pub(super) severity: Severity,
    pub(super) code: &'static str,
    pub(super) text: String,
    /// The fate of the entry in a word, if it is another than the module says.
    pub(super) verdict: Option<&'static str>,
}

impl Remark {
    fn warning(code: &'static str, verdict: Option<&'static str>, text: String) -> Self {
        Self { severity: Severity::Warning, code, text, verdict }
    }
}

/// The remarks that hold whatever the registry answers. `namespace` is the one that the controller serves.
pub(super) fn remarks(entry: &ServiceEntry, namespace: &str) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if !selected(entry) {
        let label = |key: &str| entry.metadata.labels.as_ref().and_then(|labels| labels.get(key));
        let missing: Vec<_> =
            LABELS.iter().filter(|(key, value)| label(key).is_none_or(|found| found != value)).collect();
        let words = missing.iter().map(|(key, value)| match label(key) {
            Some(found) => format!("`{key}: {value}` (it is `{}`)", found.escape_debug()),
            None => format!("`{key}: {value}`"),
        });
        let words = words.collect::<Vec<_>>().join(" and ");
        let text = format!(
            "a running controller passes the entry over: it lacks the labels {words}; add them to have it served"
        );
        remarks.push(Remark::warning("labels-missing", Some("passed over"), text));
    }
    if entry.metadata.namespace.as_deref() != Some(namespace) {
        let own = entry.metadata.namespace.as_deref().unwrap_or_default();
        let text = format!(
            "a running controller passes the entry over: it is in namespace `{own}`, and `{namespace}` is served; \
             give what the controller has as --namespace"
        );
        remarks.push(Remark::warning("namespace-other", Some("passed over"), text));
    }
    match paused(entry) {
        Ok(false) => {}
        Ok(true) => {
            let text = "nothing is written: the entry's own annotation aeraki.net/paused says so".to_owned();
            remarks.push(Remark::warning("paused", Some("paused"), text));
        }
        Err(problem) => remarks.push(Remark::warning("annotation-unreadable", Some("paused"), problem)),
    }
    let (_, problems) = Settings::default().of_entry(entry);
    remarks.extend(problems.into_iter().map(|problem| Remark::warning("annotation-unreadable", None, problem)));
    remarks
}

/// Lets the guard decide as one that has just started: it knows what the entry holds, and no past. Returns what it holds, and
/// what it would hold.
pub(super) fn guard(
    desired: &mut Desired,
    live: &ServiceEntry,
    content: &Content,
    origins: Origins,
    (excluded, addresses): (&[(String, String)], &AddressRule),
) -> Vec<Remark> {
    let (settings, now) = (Settings::default().of_entry(live).0, Instant::now());
    let service = desired.annotations.get(crate::annotation::SOURCE).cloned().unwrap_or_default();
    let input = GuardInput {
        live,
        service: &service,
        content,
        origins,
        answers: 1,
        is_answered: true,
        settings,
        excluded,
        addresses,
        release: None,
        promotion: 0,
        module: 0,
        restored: false,
        writable: true,
        now,
    };
    // One entry is no fleet.
    let decision = Guard::default().decide(desired, &input, &Fleet::new(Percent::new(100)));
    let mut remarks: Vec<_> = (decision.holds.iter())
        .map(|hold| {
            let end =
                hold.until.map_or("without end".into(), |until| format!("for {}", time(until.duration_since(now))));
            let be = if hold.endpoints == 1 { "is" } else { "are" };
            let text = format!("{} of the entry {be} held {end}: {}", counted(hold.endpoints, "endpoint"), hold.reason);
            Remark::warning("held", Some("converted, with endpoints held"), text)
        })
        .collect();
    if decision.misfits > 0 {
        let text = format!("{} endpoints are not held, as they do not fit the entry any more", decision.misfits);
        remarks.push(Remark::warning("held-misfits", None, text));
    }
    let text = format!(
        "if its endpoints vanish later, they are held: {} where the service lists none (--empty-hold), {} and longer where more than half \
         go (--removal-hold), and without end where a module drops more than {} (--module-removal-limit)",
        words(settings.empty_hold),
        words(settings.removal_hold),
        settings.module_removal_limit
    );
    remarks.push(Remark { severity: Severity::Info, code: "guard", text, verdict: None });
    remarks
}

fn words(hold: HoldTime) -> String {
    match hold {
        HoldTime::For(Duration::ZERO) => "for no time".into(),
        HoldTime::For(for_) => format!("for {}", time(for_)),
        HoldTime::Never => "without end".into(),
    }
}

fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}
