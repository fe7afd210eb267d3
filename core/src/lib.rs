//! The default conversion rules of `polaris2istio`, and the model that they and the host share.
//!
//! One crate, compiled natively (for the host's model, tests and benchmarks) and to a WebAssembly component (what the host
//! runs). Nothing here does I/O or knows a clock.
//!
//! Who writes a module of his own calls [`convert`] with [`Request::published`](model::Request::published) absent, changes
//! what he likes in the update, and gives it a new content revision with [`revision::of`]. He depends on this crate without
//! its default features, and exports what he made with [`model::export!`]; `wit/examples/rust` is one.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod address;
pub mod annotation;
pub mod binding;
#[cfg(all(target_arch = "wasm32", feature = "component"))]
mod component;
mod content;
mod convert;
pub mod diagnostic;
mod endpoint;
mod fitness;
mod health;
pub mod identity;
pub mod labels;
pub mod limits;
pub mod locality;
pub mod location;
pub mod model;
pub mod parameters;
mod ports;
pub mod protocol;
mod quote;
mod resolution;
pub mod revision;

pub use convert::{convert, describe};
