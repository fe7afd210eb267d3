//! Flags of the metrics, the probes and the status of a running controller.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args};

use crate::run::HttpPlace;

/// Where metrics, probes and the status are served.
#[derive(Debug, Args)]
#[command(next_help_heading = "Observation")]
pub struct ObserveArgs {
    /// Where the page, /metrics, /status, /livez and /readyz are served: `ADDRESS:PORT`, or `none`; by default [::]:8080, or nowhere if that is taken
    #[arg(long, env = "POLARIS2ISTIO_HTTP_ADDRESS", value_name = "ADDRESS")]
    http_address: Option<Place>,
    /// Where /livez and /readyz are served apart, for the kubelet: `ADDRESS:PORT`, or `none`; by default [::]:8081, or nowhere if that is taken or --http-address is `none`
    #[arg(long, env = "POLARIS2ISTIO_PROBE_ADDRESS", value_name = "ADDRESS")]
    probe_address: Option<Place>,
    /// A file with a token, without which the page and /status are refused; read again for every request
    #[arg(long, env = "POLARIS2ISTIO_STATUS_TOKEN_FILE", value_name = "FILE")]
    status_token_file: Option<PathBuf>,
    /// Give every ServiceEntry metrics of its own, which are many where entries are
    #[arg(long, env = "POLARIS2ISTIO_METRICS_PER_ENTRY", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    metrics_per_entry: bool,
}

#[derive(Clone, Debug)]
enum Place {
    None,
    At(SocketAddr),
}

impl ObserveArgs {
    pub(super) fn http(&self, once: bool) -> HttpPlace {
        place(&self.http_address, !once)
    }

    pub(super) fn probes(&self, once: bool) -> HttpPlace {
        place(&self.probe_address, !once && !matches!(self.http_address, Some(Place::None)))
    }

    pub(super) fn status_token(&self) -> Option<PathBuf> {
        self.status_token_file.clone()
    }

    pub(super) fn per_entry(&self) -> bool {
        self.metrics_per_entry
    }
}

fn place(named: &Option<Place>, usual: bool) -> HttpPlace {
    match named {
        None if usual => HttpPlace::Usual,
        None | Some(Place::None) => HttpPlace::Nowhere,
        Some(Place::At(address)) => HttpPlace::At(*address),
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let all = |port: &str| port.parse().map(|port| SocketAddr::from(([0; 8], port)));
        let parsed = match text.strip_prefix(':') {
            Some(port) => all(port).map_err(|error| error.to_string()),
            None => text.parse().map_err(|error: std::net::AddrParseError| error.to_string()),
        };
        parsed.map(Self::At).map_err(|error| format!("{error}; write `0.0.0.0:8080`, `[::]:8080`, `:8080` or `none`"))
    }
}
