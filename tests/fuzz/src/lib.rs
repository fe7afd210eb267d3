//! Everything that comes from outside, given as bytes to the decoder that takes it, and on through the rules: no panic, and
//! what comes out is what the rest relies on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a fault is found, and it names the place"
)]

mod answer;
mod chain;
mod entry;
mod memory;
mod message;
mod outcome;

/// Takes some bytes, and panics where something is wrong.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: [(&str, Target); 5] = [
    ("answer", answer::run),
    ("message", message::run),
    ("entry", entry::run),
    ("outcome", outcome::run),
    ("memory", memory::run),
];

/// The target of a name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
