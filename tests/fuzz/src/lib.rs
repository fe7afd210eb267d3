//! Everything that comes from outside, given as bytes to the decoder that takes it, and on through the rules: no panic, and
//! what comes out is what the rest relies on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a fault is found, and it names the place"
)]

mod answer;
mod catalogue;
mod chain;
mod entry;
mod memory;
mod message;
mod oci;
mod outcome;
mod own;

/// Takes some bytes, and panics where something is wrong.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: [(&str, Target); 14] = [
    ("answer", answer::run),
    ("message", message::run),
    ("listing", catalogue::listing),
    ("services-message", catalogue::message),
    ("entry", entry::run),
    ("outcome", outcome::run),
    ("memory", memory::run),
    ("manifest", oci::manifest),
    ("challenge", oci::challenge),
    ("token", oci::token),
    ("docker-config", oci::docker_config),
    ("state", own::state),
    ("command", own::command),
    ("parameters", own::parameters),
];

/// The target of a name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

/// The outcome of a decoder. Its error is for a log line: it must not hold what was given.
fn short<T>(result: Result<T, String>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(error.len() < 4_096, "{error}");
            None
        }
    }
}
