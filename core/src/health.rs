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

/// The share of healthy instances below which all of them count, from the service's metadata; 0 where none is set.
pub(crate) fn protect_threshold(service: &Service, diagnostics: &mut Diagnostics) -> f64 {
    let Some(text) = annotation::find(&service.metadata, PROTECT_THRESHOLD).filter(|text| !text.is_empty()) else {
        return 0.0;
    };
    match text.trim().parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => share,
        _ => {
            diagnostics.add(
                Code::ProtectThresholdInvalid,
                Subject::Service,
                format!("the service's metadata {PROTECT_THRESHOLD} is {}, and counts as 0", quote(text)),
                "Set the protect threshold to a share between 0 and 1, such as 0.5.",
            );
            0.0
        }
    }
}

/// How many instances serve a port.
#[derive(Clone, Copy, Default)]
struct Count {
    healthy: u32,
    all: u32,
}

impl Count {
    /// Whether the unhealthy stay, and why.
    fn keeps_all(self, threshold: f64) -> Option<Code> {
        if self.healthy == self.all {
            None
        } else if self.healthy == 0 {
            Some(Code::RecoverAll)
        } else {
            (f64::from(self.healthy) / f64::from(self.all) < threshold).then_some(Code::ProtectThreshold)
        }
    }
}

/// Who serves which port: all that are healthy; and where a port has no healthy instance, or fewer than the threshold, all
/// that are not. Polaris's own SDKs do the same (`enableRecoverAll`): when all look sick, the check is likelier sick than
/// the service.
pub(crate) fn members<'a>(
    candidates: &'a [Candidate<'a>],
    ports: &ServicePorts<'_>,
    threshold: f64,
    diagnostics: &mut Diagnostics,
) -> Vec<Member<'a>> {
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
fn report_kept(code: Code, port: &ServicePort<'_>, count: Count, threshold: f64, diagnostics: &mut Diagnostics) {
    let (Count { healthy, all }, name) = (count, quote(&port.name));
    let message = if code == Code::RecoverAll {
        format!("none of the {all} instances that could serve port {name} is healthy, so all of them stay")
    } else {
        format!(
            "only {healthy} of the {all} instances that could serve port {name} are healthy, less than the share {threshold} of the service's protect threshold, so all of them stay"
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
            (None, 0.0, false),
            (Some(""), 0.0, false),
            (Some("0"), 0.0, false),
            (Some("0.5"), 0.5, false),
            (Some(" 1 "), 1.0, false),
            (Some("1.1"), 0.0, true),
            (Some("-0.1"), 0.0, true),
            (Some("50%"), 0.0, true),
            (Some("NaN"), 0.0, true),
        ] {
            let metadata = text.map(|text| (PROTECT_THRESHOLD.to_owned(), text.to_owned())).into_iter().collect();
            let (namespace, name, revision) = (String::new(), String::new(), String::new());
            let service = Service { namespace, name, revision, metadata, instances: vec![] };
            let mut diagnostics = Diagnostics::default();
            assert!((protect_threshold(&service, &mut diagnostics) - expected).abs() < 1e-9, "{text:?}");
            assert_eq!(diagnostics.0.len(), usize::from(reported), "{text:?}");
        }
    }

    #[test]
    fn who_stays() {
        for (healthy, all, threshold, expected) in [
            (2, 2, 1.0, None),
            (0, 0, 1.0, None),
            (0, 2, 0.0, Some(Code::RecoverAll)),
            (0, 2, 1.0, Some(Code::RecoverAll)),
            (1, 2, 0.0, None),
            (1, 2, 0.5, None),
            (1, 2, 0.51, Some(Code::ProtectThreshold)),
            (1, 3, 0.5, Some(Code::ProtectThreshold)),
            (1, 2, 1.0, Some(Code::ProtectThreshold)),
            (7, 100, 0.07, None),
        ] {
            assert_eq!(Count { healthy, all }.keeps_all(threshold), expected, "{healthy} of {all}, {threshold}");
        }
    }
}
