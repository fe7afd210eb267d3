//! The words for what a module found, for the log and for conditions, and for the fleet's alarm.

use polaris2istio_core::model::{Diagnostic, Outcome, Service, Severity, Subject};
use tracing::{debug, error, info, warn};

use crate::guard::AlarmNews;
use crate::telemetry::{History, HistoryKind};
use crate::title::title;

/// Lines that one entry gets at a time; the rest is counted. `explain` prints them all.
const LINES: usize = 10;

/// Lines of a module that a condition repeats; the log has them all.
const SUMMARY_LINES: usize = 3;

/// Logs the diagnostics of one entry.
pub(super) fn log(diagnostics: &[Diagnostic], service: &Service) {
    let (notable, minor): (Vec<_>, Vec<_>) =
        diagnostics.iter().partition(|diagnostic| diagnostic.severity != Severity::Info);
    for diagnostic in minor {
        debug!(code = diagnostic.code, "{}", line(diagnostic, service));
    }
    for diagnostic in notable.iter().take(LINES) {
        let (code, line) = (&diagnostic.code, line(diagnostic, service));
        match diagnostic.severity {
            Severity::Error => error!(code, "{line}"),
            _ => warn!(code, "{line}"),
        }
    }
    if notable.len() > LINES {
        info!("and {} more of these; `polaris2istio explain` prints all", notable.len() - LINES);
    }
}

/// The lines of some diagnostics as one text; empty if there are none.
pub(super) fn summary(outcome: &Outcome, service: &Service, picked: impl Fn(&Diagnostic) -> bool) -> String {
    let picked: Vec<_> = outcome.diagnostics.iter().filter(|diagnostic| picked(diagnostic)).collect();
    let lines = picked.iter().take(SUMMARY_LINES).map(|diagnostic| line(diagnostic, service));
    let mut text = lines.collect::<Vec<_>>().join("; ");
    if picked.len() > SUMMARY_LINES {
        text.push_str(&format!("; and {} more", picked.len() - SUMMARY_LINES));
    }
    text
}

/// Logs the news of the whole fleet, outside of the entry that they were noticed at.
pub(super) fn log_alarm(news: &[AlarmNews]) {
    for news in news {
        match news {
            AlarmNews::Raised(alarm) => error!(
                parent: None,
                services = alarm.services,
                followed = alarm.followed,
                "{} of {} services lost half of their endpoints or more within a minute, as when a registry was restored empty; \
                 all disappearances are held, without end, until the registry lists the instances again or a person releases them",
                alarm.services,
                alarm.followed
            ),
            AlarmNews::Over => {
                info!(parent: None, "disappearances are no longer held for all services: all is listed again, or released")
            }
            AlarmNews::Noticed(notice) => error!(parent: None, notice = notice.kind.as_str(), "{notice}"),
            AlarmNews::NoticeOver(kind) => {
                info!(parent: None, notice = kind.as_str(), "no longer so: {}", kind.words())
            }
        }
    }
}

/// Notes the same among the last changes.
pub(super) fn note_alarm(history: &History, news: &[AlarmNews]) {
    for news in news {
        let text = match news {
            AlarmNews::Raised(alarm) => format!(
                "{} of {} services lost half of their endpoints or more within a minute; all disappearances are held",
                alarm.services, alarm.followed
            ),
            AlarmNews::Over => "disappearances are no longer held for all services".into(),
            AlarmNews::Noticed(notice) => notice.to_string(),
            AlarmNews::NoticeOver(kind) => format!("no longer so: {}", kind.words()),
        };
        history.note(HistoryKind::Fleet, "", &text, "");
    }
}

/// One diagnostic as a sentence: subject, message, remedy.
pub fn line(diagnostic: &Diagnostic, service: &Service) -> String {
    let mut text = match subject(&diagnostic.subject, service) {
        // The default rules name the subject in the message; another module may not.
        Some((_, name)) if diagnostic.message.contains(&name) => diagnostic.message.clone(),
        Some((kind, name)) => format!("{kind}{name}: {}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    if !diagnostic.remedy.is_empty() {
        text.push_str(". ");
        text.push_str(&diagnostic.remedy);
    }
    text
}

/// The subject of a diagnostic in words: its kind and its name.
fn subject(subject: &Subject, service: &Service) -> Option<(&'static str, String)> {
    match subject {
        Subject::Entry => None,
        Subject::Service => Some(("service ", title(&service.namespace, &service.name))),
        Subject::Instance(position) => Some(match service.instances.get(*position as usize) {
            Some(instance) => ("instance ", instance.host.clone()),
            None => ("instance number ", position.to_string()),
        }),
        Subject::Port(name) => Some(("port ", name.clone())),
        Subject::Annotation(key) => Some(("annotation ", key.clone())),
        Subject::Field(path) => Some(("", path.clone())),
    }
}
