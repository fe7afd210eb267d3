//! The one shared model: Rust types generated from `wit/converter.wit`, which documents every field.
//!
//! Host, rules and tests use these same types, so that there is no second model that could say something else.

/// A test holds them to the world.
#[doc(hidden)]
#[allow(unsafe_code, missing_docs, clippy::all, clippy::unwrap_used, clippy::panic)]
#[rustfmt::skip]
#[path = "bindings.rs"]
pub mod bindings;

/// Exports a type that implements [`Guest`] as a module: `export!(Mine with_types_in polaris2istio_core::model::bindings)`.
pub use bindings::export;
pub use bindings::exports::polaris2istio::conversion::conversion::*;
