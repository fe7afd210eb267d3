//! The host's side of `wit/converter.wit`, generated.
//!
//! Arguments borrow: a request is lowered straight from what the registry decoded and the watch delivered. Copying it into
//! owned types first costs about a microsecond for each instance.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "converter",
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(super) use exports::polaris2istio::conversion::conversion as wit;
