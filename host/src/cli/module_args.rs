//! Flags of the conversion module, shared by the controller and the offline verbs.

use clap::Args;

use super::SandboxArgs;
use crate::converter::LoadedModule;
use crate::plan::AddressRule;
use crate::source::Source;

/// Which module converts, within which limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Conversion module")]
pub struct ModuleArgs {
    /// The conversion module: `embedded` for the default rules, `file:PATH`, `directory:PATH` (a mounted ConfigMap), or `oci://registry/repository:tag` or `@sha256:...`
    #[arg(long, env = "POLARIS2ISTIO_MODULE", value_name = "SOURCE", default_value = "embedded")]
    pub(super) module: Source,
    #[command(flatten)]
    pub(super) sandbox: SandboxArgs,
}

impl ModuleArgs {
    /// Fetches the module from its source, and loads it.
    pub async fn load(&self) -> anyhow::Result<LoadedModule> {
        self.sandbox.load(&self.module).await
    }

    /// The addresses that endpoints may have.
    pub fn addresses(&self) -> AddressRule {
        self.sandbox.addresses()
    }
}
