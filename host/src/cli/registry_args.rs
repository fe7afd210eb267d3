//! The flags of the registry: where it is, and how one is let in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::registry::{
    Addresses, CatalogueSource, DirectoryCatalogue, PolarisCatalogue, PolarisConfig, TlsFiles, TokenSource,
};

/// Where services come from.
#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    /// Polaris servers; what speaks there is found out, or said by grpc://, grpcs://, http:// or https:// before it; the others
    /// take over when the first fails
    #[arg(
        long,
        alias = "polarisAddress",
        env = "POLARIS2ISTIO_POLARIS_ADDRESS",
        value_name = "HOST:PORT,...",
        required_unless_present = "answers",
        help_heading = "Registry"
    )]
    polaris_address: Option<String>,
    /// A directory of Polaris answers (*.json) in place of a server
    #[arg(
        long,
        env = "POLARIS2ISTIO_ANSWERS",
        value_name = "DIR",
        conflicts_with = "polaris_address",
        help_heading = "Registry"
    )]
    answers: Option<PathBuf>,
    /// How long a request to Polaris may take
    #[arg(long, env = "POLARIS2ISTIO_POLARIS_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = interval, help_heading = "Registry")]
    polaris_timeout: Duration,
    /// A file with the token for Polaris, read again when the server denies access
    #[arg(
        long,
        env = "POLARIS2ISTIO_POLARIS_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "polaris_token",
        help_heading = "Registry"
    )]
    polaris_token_file: Option<PathBuf>,
    /// The token itself; better set by the environment, where `ps` does not show it
    #[arg(long, env = "POLARIS2ISTIO_POLARIS_TOKEN", value_name = "TOKEN", help_heading = "Registry")]
    polaris_token: Option<String>,
    /// Certificates (PEM) of authorities to trust beside the system's, for Polaris over TLS
    #[arg(long, env = "POLARIS2ISTIO_POLARIS_CA_FILE", value_name = "FILE", help_heading = "Registry")]
    polaris_ca_file: Option<PathBuf>,
    /// The certificate (PEM) to show to a Polaris that asks for one; read again when TLS fails
    #[arg(
        long,
        env = "POLARIS2ISTIO_POLARIS_CERT_FILE",
        value_name = "FILE",
        requires = "polaris_key_file",
        help_heading = "Registry"
    )]
    polaris_cert_file: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(
        long,
        env = "POLARIS2ISTIO_POLARIS_KEY_FILE",
        value_name = "FILE",
        requires = "polaris_cert_file",
        help_heading = "Registry"
    )]
    polaris_key_file: Option<PathBuf>,
}

impl RegistryArgs {
    /// The directory in place of a server, if there is one.
    pub(super) fn answers(&self) -> Option<&Path> {
        self.answers.as_deref()
    }

    /// How a server is asked.
    pub(super) fn polaris(&self) -> anyhow::Result<PolarisConfig> {
        let addresses: Addresses = self.polaris_address.as_deref().unwrap_or_default().parse()?;
        let token = match (&self.polaris_token_file, &self.polaris_token) {
            (Some(file), _) => TokenSource::File(file.clone()),
            (None, Some(token)) => TokenSource::Value(token.clone()),
            (None, None) => TokenSource::None,
        };
        let identity = self.polaris_cert_file.clone().zip(self.polaris_key_file.clone());
        Ok(PolarisConfig {
            token,
            tls: TlsFiles { authority: self.polaris_ca_file.clone(), identity },
            total_timeout: self.polaris_timeout,
            ..PolarisConfig::new(addresses)
        })
    }

    /// Where the services of a namespace are listed.
    pub(super) fn catalogue(&self) -> anyhow::Result<Box<dyn CatalogueSource>> {
        Ok(match self.answers() {
            Some(path) => Box::new(DirectoryCatalogue::new(path.to_owned())),
            None => Box::new(PolarisCatalogue::new(self.polaris()?)?),
        })
    }
}

/// Reads a time that is not zero: polling without a pause would be an attack on the registry.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time < Duration::from_millis(50) { Err("at least 50ms".into()) } else { Ok(time) }
}
