//! Flags of the conversion module and its sandbox, shared by the controller and the offline verbs.

use std::time::Duration;

use clap::Args;
use ipnet::IpNet;
use polaris2istio_core::parameters::{ADDRESS_CIDRS, ALLOW_LOOPBACK};

use crate::converter::{Converter, Limits, LoadError, Parameters, Source};
use crate::istio::AddressRule;

/// Which module converts, within which limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Conversion module")]
pub struct ModuleArgs {
    /// The conversion module: `embedded` for the default rules, or the path of a component
    #[arg(long, env = "POLARIS2ISTIO_MODULE", value_name = "embedded|PATH", default_value = "embedded")]
    module: String,
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
    /// Loads the module.
    pub fn converter(&self) -> Result<Converter, LoadError> {
        let source = match self.module.as_str() {
            "embedded" => Source::Embedded,
            path => Source::File(path.into()),
        };
        Converter::new(&source, self.limits(), self.parameters())
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
