//! Flags of the conversion module and its sandbox, shared by the controller and the offline verbs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;
use polaris2istio_core::parameters::{ADDRESS_CIDRS, ALLOW_LOOPBACK};

use crate::converter::source::{OciSettings, PlainHttp, Settings, Source, fetch};
use crate::converter::{Converter, Limits, Parameters};
use crate::istio::AddressRule;

/// Which module converts, within which limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Conversion module")]
pub struct ModuleArgs {
    /// The conversion module: `embedded` for the default rules, `file:PATH`, `directory:PATH` (a mounted ConfigMap), or `oci://registry/repository:tag` or `@sha256:...`
    #[arg(long, env = "POLARIS2ISTIO_MODULE", value_name = "SOURCE", default_value = "embedded")]
    module: Source,
    /// A directory that keeps modules from registries over a restart
    #[arg(long, env = "POLARIS2ISTIO_MODULE_CACHE", value_name = "DIR")]
    module_cache: Option<PathBuf>,
    /// How often a tag is resolved again
    #[arg(long, env = "POLARIS2ISTIO_OCI_POLL", value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    oci_poll: Duration,
    /// How long a request to a registry may take, the download included
    #[arg(long, env = "POLARIS2ISTIO_OCI_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    oci_timeout: Duration,
    /// Certificates (PEM) of registries to trust beside the system's
    #[arg(long, env = "POLARIS2ISTIO_OCI_CA_FILE", value_name = "FILE")]
    oci_ca_file: Option<PathBuf>,
    /// The Docker config.json with credentials; by default $DOCKER_CONFIG/config.json or ~/.docker/config.json
    #[arg(long, env = "POLARIS2ISTIO_OCI_DOCKER_CONFIG", value_name = "FILE")]
    oci_docker_config: Option<PathBuf>,
    /// Speak to every registry without TLS; those on this machine are by default
    #[arg(long, env = "POLARIS2ISTIO_OCI_PLAIN_HTTP")]
    oci_plain_http: bool,
    /// Memory that one call may use, in MiB
    #[arg(long, env = "POLARIS2ISTIO_MODULE_MEMORY", value_name = "MIB", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=4096))]
    module_memory: u32,
    /// Time that one call may take
    #[arg(long, env = "POLARIS2ISTIO_MODULE_TIMEOUT", value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    module_timeout: Duration,
    /// Size of a call's result, in MiB
    #[arg(long, env = "POLARIS2ISTIO_MODULE_MAX_OUTPUT", value_name = "MIB", default_value = "32", value_parser = clap::value_parser!(u32).range(1..=1024))]
    module_max_output: u32,
    /// Size of a component file, in MiB
    #[arg(long, env = "POLARIS2ISTIO_MODULE_MAX_SIZE", value_name = "MIB", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=256))]
    module_max_size: u32,
    /// Let endpoints have loopback addresses; for tests on one machine
    #[arg(long, env = "POLARIS2ISTIO_ALLOW_LOOPBACK")]
    allow_loopback: bool,
    /// Let endpoints have only addresses inside these CIDRs
    #[arg(long, env = "POLARIS2ISTIO_ADDRESS_CIDRS", value_name = "CIDR,...", value_delimiter = ',')]
    address_cidrs: Vec<IpNet>,
}

impl ModuleArgs {
    /// Gets the module from its source, and loads it.
    pub async fn converter(&self) -> anyhow::Result<Converter> {
        let candidate = fetch(&self.module, &self.source_settings()).await?;
        Ok(Converter::new(&candidate, self.limits(), self.parameters())?)
    }

    /// Where modules come from, and how to get at them.
    pub fn source(&self) -> (Source, Settings) {
        (self.module.clone(), self.source_settings())
    }

    fn source_settings(&self) -> Settings {
        Settings {
            size_limit: u64::from(self.module_max_size) << 20,
            cache: self.module_cache.clone(),
            oci: OciSettings {
                poll: self.oci_poll,
                docker_config: self.oci_docker_config.clone(),
                authority: self.oci_ca_file.clone(),
                plain_http: if self.oci_plain_http { PlainHttp::Always } else { PlainHttp::default() },
                request_timeout: self.oci_timeout,
                ..OciSettings::default()
            },
            ..Settings::default()
        }
    }

    /// The addresses that endpoints may have.
    pub fn addresses(&self) -> AddressRule {
        AddressRule { allow_loopback: self.allow_loopback, address_cidrs: self.address_cidrs.clone() }
    }

    fn limits(&self) -> Limits {
        Limits {
            memory_bytes: (self.module_memory as usize) << 20,
            time: self.module_timeout,
            output_bytes: (self.module_max_output as usize) << 20,
            component_bytes: u64::from(self.module_max_size) << 20,
            ..Limits::default()
        }
    }

    /// What the module is told of the address rules, so that it can say why it leaves an instance out.
    fn parameters(&self) -> Parameters {
        let mut parameters = Vec::new();
        if self.allow_loopback {
            parameters.push((ALLOW_LOOPBACK.into(), "true".into()));
        }
        if !self.address_cidrs.is_empty() {
            let cidrs: Vec<_> = self.address_cidrs.iter().map(IpNet::to_string).collect();
            parameters.push((ADDRESS_CIDRS.into(), cidrs.join(",")));
        }
        parameters
    }
}
