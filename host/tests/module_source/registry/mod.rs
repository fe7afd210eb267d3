//! Modules in OCI registries, against a registry that misbehaves in every way it can.

mod artifact;
mod cache;
mod credentials;
mod fake;
mod index;
mod reply;
mod signed;
mod tags;
mod troubles;

use std::time::Duration;

use polaris2istio::source::{OciSettings, Settings, Source, fetch};

const LIMIT: u64 = 100_000;
/// `user:secret`.
const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

fn settings() -> Settings {
    let oci = OciSettings {
        poll: Duration::from_millis(10),
        docker_config: None,
        request_timeout: Duration::from_secs(10),
        ..OciSettings::default()
    };
    Settings { size_limit: LIMIT, oci, ..Settings::default() }
}

/// Fetches what cannot be had and returns the text that says why.
async fn refusal(source: &Source, settings: &Settings) -> String {
    let text = fetch(source, settings).await.unwrap_err().to_string();
    assert!(text.starts_with(&format!("module {source}: ")), "{text}");
    assert!(text.contains("; "), "a remedy: {text}");
    assert!(!text.contains("secret") && !text.contains(BASIC), "{text}");
    text
}
