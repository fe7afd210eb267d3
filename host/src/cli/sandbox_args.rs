//! Flags for fetching and running modules, and their parameters; for any module, wherever it comes from.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use ipnet::IpNet;
use polaris2istio_core::parameters::{ADDRESS_CIDRS, ALLOW_LOOPBACK};

use crate::converter::{CompileLimits, Limits, LoadedModule, Parameters, check_key};
use crate::plan::AddressRule;
use crate::source::{ModuleBytes, OciSettings, PlainHttp, Settings, Source, fetch};

/// Limits and parameters of modules, and the ways to them.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// A parameter for the module; may be given several times, in the environment one a line
    #[arg(long, env = "POLARIS2ISTIO_MODULE_PARAM", value_name = "KEY=VALUE", value_delimiter = '\n', value_parser = parameter)]
    module_param: Vec<String>,
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
    /// The public key (cosign.pub) that modules must be signed by with cosign; they then come from a registry alone
    #[arg(long, env = "POLARIS2ISTIO_MODULE_KEY", value_name = "FILE")]
    module_key: Option<PathBuf>,
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
    /// Memory for compiling a module, in MiB; beside the controller's own, so it must fit the pod with it
    #[arg(long, env = "POLARIS2ISTIO_MODULE_COMPILE_MEMORY", value_name = "MIB", default_value = "192", value_parser = clap::value_parser!(u32).range(32..=16384))]
    module_compile_memory: u32,
    /// Processor time for compiling a module
    #[arg(long, env = "POLARIS2ISTIO_MODULE_COMPILE_TIME", value_name = "TIME", default_value = "20s", value_parser = humantime::parse_duration)]
    module_compile_time: Duration,
    /// Let endpoints have loopback addresses; for tests on one machine
    #[arg(long, env = "POLARIS2ISTIO_ALLOW_LOOPBACK")]
    allow_loopback: bool,
    /// Let endpoints have only addresses inside these CIDRs
    #[arg(long, env = "POLARIS2ISTIO_ADDRESS_CIDRS", value_name = "CIDR,...", value_delimiter = ',')]
    address_cidrs: Vec<IpNet>,
}

impl SandboxArgs {
    /// Fetches a module from its source, and loads it.
    pub(super) async fn load(&self, source: &Source) -> anyhow::Result<LoadedModule> {
        let bytes = fetch(source, &self.source_settings()).await?;
        self.check(&bytes)
    }

    /// Loads a module, or says why it is none.
    pub(super) fn check(&self, bytes: &ModuleBytes) -> anyhow::Result<LoadedModule> {
        Ok(LoadedModule::new(bytes, self.limits(), self.parameters())?)
    }

    /// Fetches and loads a module for verbs that are not async.
    pub(super) fn load_now(&self, source: &Source) -> anyhow::Result<LoadedModule> {
        runtime()?.block_on(self.load(source))
    }

    pub(super) fn source_settings(&self) -> Settings {
        Settings {
            size_limit: u64::from(self.module_max_size) << 20,
            cache: self.module_cache.clone(),
            module_key: self.module_key.clone(),
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
        AddressRule {
            allow_loopback: self.allow_loopback,
            address_cidrs: self.address_cidrs.clone(),
            ..AddressRule::default()
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            memory_bytes: (self.module_memory as usize) << 20,
            time: self.module_timeout,
            output_bytes: (self.module_max_output as usize) << 20,
            component_bytes: u64::from(self.module_max_size) << 20,
            compile: CompileLimits {
                memory_bytes: u64::from(self.module_compile_memory) << 20,
                time: self.module_compile_time,
                // This very program, even where a later release has taken its place on disk.
                program: Some("/proc/self/exe".into()),
            },
            ..Limits::default()
        }
    }

    /// The parameters of the module: its own, and the address rules, so that it can tell why it leaves an instance out.
    pub(super) fn parameters(&self) -> Parameters {
        let mut parameters = Vec::new();
        if self.allow_loopback {
            parameters.push((ALLOW_LOOPBACK.into(), "true".into()));
        }
        if !self.address_cidrs.is_empty() {
            let cidrs: Vec<_> = self.address_cidrs.iter().map(IpNet::to_string).collect();
            parameters.push((ADDRESS_CIDRS.into(), cidrs.join(",")));
        }
        let own = self.module_param.iter().filter_map(|pair| pair.split_once('='));
        parameters.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        parameters.sort();
        parameters
    }
}

/// A runtime for verbs that are not async.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")
}

/// Reads a pair, or nothing: a block of YAML ends with an empty line.
fn parameter(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        None if text.trim().is_empty() => Ok(String::new()),
        None | Some(("", _)) => Err("give KEY=VALUE, such as env=prod".into()),
        Some((key, _)) => check_key(key).map(|()| text.into()),
    }
}
