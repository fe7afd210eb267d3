//! The native host of `polaris2istio`.

pub mod converter;
pub mod istio;
