//! The one way to an HTTP client: its TLS needs a library that is named, although no test uses it.

use std::sync::Once;
use std::time::Duration;

use reqwest::Client;

/// Far more than any server needs for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A client of the test's own runtime.
pub(crate) fn http_client() -> Client {
    static NAMED: Once = Once::new();
    // Another may have been named by a program under test in this process, which is as good.
    NAMED.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    Client::builder().timeout(PATIENCE).build().expect("the options are valid")
}
