//! Notices of modules beyond the active one, a sentence each: trouble of the source, who waits, what was taken back.

use crate::rollout::{ModuleState, SourceTrouble};
use crate::text;

/// The longest reason that is repeated, in characters; `module status` has all of it.
const REASON: usize = 300;

/// The notices, the most pressing first.
pub(super) fn module_notices(state: &ModuleState, trouble: Option<&SourceTrouble>) -> Vec<String> {
    let mut notices = Vec::new();
    if let Some(SourceTrouble { since, reason }) = trouble {
        let reason = text::shown(reason, REASON);
        notices.push(format!("the module's source gives none that can be used, since {since}: {reason}"));
    }
    if let Some(pending) = &state.candidate {
        let (name, since) = (pending.module.identity.handle(), pending.module.since);
        notices.push(format!("the module {name} waits for a person since {since}: see `polaris2istio module diff`"));
    }
    if let Some(canary) = &state.canary {
        let name = canary.module.identity.handle();
        notices.push(format!("the module {name} is tried on {} of the entries until {}", canary.share, canary.until));
    }
    // What was refused before the active module came is history.
    let since = state.active.as_ref().map(|active| active.since);
    if let Some(refused) = state.refused.last().filter(|refused| since.is_none_or(|since| refused.at >= since)) {
        let (name, reason) = (refused.identity.handle(), text::shown(&refused.reason, REASON));
        notices.push(format!("the module {name} was refused at {}: {reason}", refused.at));
    }
    notices
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tells_what_waits_and_what_was_taken_back() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let since = "2026-01-01T00:00:00Z";
        let record = |digit: &str, since: &str| json!({"module": digest(digit), "name": "n", "version": "1", "origin": "o", "since": since});
        let mut candidate = record("b", since);
        candidate["objections"] = json!([]);
        candidate["report"] = json!({
            "entries": 0, "uncompared": 0, "unchanged": 0, "changed": 0, "rejected": 0, "failed": 0, "endpoints": 0, "added": 0,
            "removed": 0, "altered": 0, "largest": [], "activeCallUs": 0, "candidateCallUs": 0,
        });
        let refused = json!([{"module": digest("c"), "reason": "it trapped", "at": since}]);
        let mut document = json!({"active": record("a", since), "candidate": candidate, "refused": refused});
        let read = |document: &serde_json::Value| serde_json::from_value::<ModuleState>(document.clone()).unwrap();
        let trouble = SourceTrouble { since: since.parse().unwrap(), reason: "m.wasm: it does not exist".into() };
        assert_eq!(
            module_notices(&read(&document), Some(&trouble)),
            [
                "the module's source gives none that can be used, since 2026-01-01T00:00:00Z: m.wasm: it does not exist",
                "the module bbbbbbbbbbbb waits for a person since 2026-01-01T00:00:00Z: see `polaris2istio module diff`",
                "the module cccccccccccc was refused at 2026-01-01T00:00:00Z: it trapped",
            ]
        );
        document["active"]["since"] = json!("2026-01-02T00:00:00Z");
        document["candidate"] = json!(null);
        assert_eq!(module_notices(&read(&document), None), [""; 0], "another module came since");
    }
}
