//! The host's side of `wit/converter.wit`, generated.
//!
//! Arguments borrow: a request is lowered straight from the decoded answer and the watched entry. Copying it into owned
//! types first costs about a microsecond for each instance.

/// The WIT package whose world `converter` a module must export; its version is part of the contract.
pub const PACKAGE: &str = "polaris2istio:conversion@0.2.0";
/// The interface of that package which a module exports.
pub(super) const EXPORT: &str = "polaris2istio:conversion/conversion@0.2.0";

wasmtime::component::bindgen!({
    path: "../wit",
    world: "converter",
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(super) use exports::polaris2istio::conversion::conversion as wit;
