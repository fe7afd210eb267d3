//! The registry's JSON: over HTTP, and in recorded files.

use polaris2istio::registry::{Answer, Content, RegistryError, decode_answer};

use crate::chain;

pub(crate) fn run(data: &[u8]) {
    check(decode_answer(data, "fuzz"));
}

/// Checks what a decoder made of some bytes.
pub(crate) fn check(decoded: Result<Answer, RegistryError>) {
    let answer = match decoded {
        Ok(answer) => answer,
        // A message is for a log line: it must not hold the answer.
        Err(error) => return assert!(error.to_string().len() < 4_096, "{error}"),
    };
    let Content::Listed(service) = answer.content else { return };
    assert!(service.instances.is_sorted_by_key(|instance| &instance.id));
    let document = chain::entry();
    if let Some(update) = chain::convert(&service, &document) {
        chain::apply(update, &document).expect("what the default rules make breaks none of the host's");
    }
}
