//! Unhealthy instances go, unless that would leave a service port with nothing, or with too little.

use crate::annotation;
use crate::diagnostic::{Code, Diagnostics};
use crate::endpoint::Member;
use crate::fitness::Candidate;
use crate::model::{Service, Subject};
use crate::ports::{ServicePort, ServicePorts};
use crate::quote::quote;

/// The service's metadata that holds its protect threshold, as the registry writes it.
const PROTECT_THRESHOLD: &str = "internal-service-protectthreshold";

/// A share as the registry writes it, such as `0.5`. Kept as a whole number: floating point would make the module larger by a quarter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share<'a> {
    text: &'a str,
    millionths: u32,
}

impl<'a> Share<'a> {
    /// From 0 to 1, with as many decimals as anyone likes, of which six count.
    fn read(text: &'a str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(decimals) {
            return None;
        }
        let digit = |place: usize| decimals.as_bytes().get(place).map_or(0, |byte| u32::from(byte - b'0'));
        let decimals = (0..6).fold(0, |number, place| number * 10 + digit(place));
        let millionths = whole.parse::<u32>().ok()?.checked_mul(1_000_000)? + decimals;
        (millionths <= 1_000_000).then_some(Self { text, millionths })
    }
}

/// The share of healthy instances below which all of them count, from the service's metadata; 0 where none is set.
pub(crate) fn protect_threshold<'a>(service: &'a Service, diagnostics: &mut Diagnostics) -> Share<'a> {
    let text = annotation::find(&service.metadata, PROTECT_THRESHOLD).unwrap_or_default().trim();
    if text.is_empty() {
        return Share::default();
    }
    Share::read(text).unwrap_or_else(|| {
        diagnostics.add(
            Code::ProtectThresholdInvalid,
            Subject::Service,
            format!("the service's metadata {PROTECT_THRESHOLD} is {}, and counts as 0", quote(text)),
            "Set the protect threshold to a share between 0 and 1, such as 0.5.",
        );
        Share::default()
    })
}

/// How many instances serve a port.
#[derive(Clone, Copy, Default)]
struct Count {
    healthy: u32,
    all: u32,
}

impl Count {
    /// Whether the unhealthy stay, and why.
    fn keeps_all(self, threshold: Share<'_>) -> Option<Code> {
        if self.healthy == self.all {
            None
        } else if self.healthy == 0 {
            Some(Code::RecoverAll)
        } else {
            let is_less = u64::from(self.healthy) * 1_000_000 < u64::from(threshold.millionths) * u64::from(self.all);
            is_less.then_some(Code::ProtectThreshold)
        }
    }
}

/// Who serves which port: all that are healthy; and where a port has no healthy instance, or fewer than the threshold, all
/// that are not. Polaris's own SDKs do the same (`enableRecoverAll`): when all look sick, the check is likelier sick than
/// the service.
pub(crate) fn members<'a>(
    candidates: &'a [Candidate<'a>],
    ports: &ServicePorts<'_>,
    threshold: Share<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Member<'a>> {
    // Mostly there is nothing to decide.
    if candidates.iter().all(|candidate| candidate.instance.healthy && !candidate.slots.are_several()) {
        return candidates.iter().map(|candidate| Member { candidate, slot: candidate.slots.first() }).collect();
    }
    let mut counts = vec![Count::default(); ports.list.len()];
    for candidate in candidates {
        for slot in candidate.slots.iter() {
            counts[slot].all += 1;
            counts[slot].healthy += u32::from(candidate.instance.healthy);
        }
    }
    let mut keeps_all = vec![false; counts.len()];
    for (slot, count) in counts.iter().enumerate() {
        if let Some(code) = count.keeps_all(threshold) {
            keeps_all[slot] = true;
            report_kept(code, &ports.list[slot], *count, threshold, diagnostics);
        }
    }
    let mut members = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let before = members.len();
        let stays = |slot: &usize| candidate.instance.healthy || keeps_all[*slot];
        members.extend(candidate.slots.iter().filter(stays).map(|slot| Member { candidate, slot }));
        if members.len() == before {
            report_left_out(candidate, &ports.list[candidate.slots.first()], diagnostics);
        }
    }
    members
}

#[cold]
fn report_left_out(candidate: &Candidate<'_>, port: &ServicePort<'_>, diagnostics: &mut Diagnostics) {
    diagnostics.add(
        Code::InstanceUnhealthy,
        candidate.subject(),
        format!("{} is unhealthy, while others that serve port {} are healthy", candidate.name(), quote(&port.name)),
        "See why its health check or heartbeat fails; it is back once it is healthy.",
    );
}

#[cold]
fn report_kept(code: Code, port: &ServicePort<'_>, count: Count, threshold: Share<'_>, diagnostics: &mut Diagnostics) {
    let (Count { healthy, all }, name) = (count, quote(&port.name));
    let message = if code == Code::RecoverAll {
        format!("none of the {all} instances that could serve port {name} is healthy, so all of them stay")
    } else {
        format!(
            "only {healthy} of the {all} instances that could serve port {name} are healthy, less than the share {} of the service's protect threshold, so all of them stay",
            threshold.text
        )
    };
    diagnostics.add(
        code,
        Subject::Port(port.name.to_string()),
        message,
        "See why their health checks or heartbeats fail.",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        for (text, expected, reported) in [
            (None, 0, false),
            (Some(""), 0, false),
            (Some("0"), 0, false),
            (Some("0.5"), 500_000, false),
            (Some("0."), 0, false),
            (Some("0.0000019"), 1, false),
            (Some(" 1 "), 1_000_000, false),
            (Some("1.000"), 1_000_000, false),
            (Some("1.1"), 0, true),
            (Some("2"), 0, true),
            (Some("4295"), 0, true),
            (Some("99999999999"), 0, true),
            (Some("-0.1"), 0, true),
            (Some(".5"), 0, true),
            (Some("0.5.1"), 0, true),
            (Some("50%"), 0, true),
            (Some("NaN"), 0, true),
        ] {
            let metadata = text.map(|text| (PROTECT_THRESHOLD.to_owned(), text.to_owned())).into_iter().collect();
            let (namespace, name, revision) = (String::new(), String::new(), String::new());
            let service = Service { namespace, name, revision, metadata, instances: vec![] };
            let mut diagnostics = Diagnostics::default();
            assert_eq!(protect_threshold(&service, &mut diagnostics).millionths, expected, "{text:?}");
            assert_eq!(diagnostics.0.len(), usize::from(reported), "{text:?}");
        }
    }

    #[test]
    fn who_stays() {
        for (healthy, all, threshold, expected) in [
            (2, 2, "1", None),
            (0, 0, "1", None),
            (0, 2, "0", Some(Code::RecoverAll)),
            (0, 2, "1", Some(Code::RecoverAll)),
            (1, 2, "0", None),
            (1, 2, "0.5", None),
            (1, 2, "0.51", Some(Code::ProtectThreshold)),
            (1, 3, "0.5", Some(Code::ProtectThreshold)),
            (1, 2, "1", Some(Code::ProtectThreshold)),
            (7, 100, "0.07", None),
        ] {
            let share = Share::read(threshold).unwrap();
            assert_eq!(Count { healthy, all }.keeps_all(share), expected, "{healthy} of {all}, {threshold}");
        }
    }
}
