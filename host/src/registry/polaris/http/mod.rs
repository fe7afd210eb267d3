//! Polaris's HTTP client API (port 8090): one request after another on connections that are kept.

mod ask;
mod client;

pub use ask::Asker;
