//! The one shared model: Rust types generated from `wit/converter.wit`, which documents every field.
//!
//! Host, rules and tests use these same types, so that there is no second model that could say something else.

#[doc(hidden)]
#[allow(unsafe_code, missing_docs, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "converter",
        additional_derives: [PartialEq, Eq, serde::Serialize],
        pub_export_macro: true,
    });
}

/// Exports a type that implements [`Guest`] as a module: `export!(Mine with_types_in polaris2istio_core::model::bindings)`.
pub use bindings::export;
pub use bindings::exports::polaris2istio::conversion::conversion::*;
