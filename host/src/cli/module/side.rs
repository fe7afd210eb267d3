//! One of two modules that are compared, and its outcome for a case.

use polaris2istio_core::model::Request;
use polaris2istio_core::parameters::NAMES;

use crate::cases::Case;
use crate::cli::SandboxArgs;
use crate::converter::LoadedModule;
use crate::rollout::JudgedOutcome;
use crate::source::Source;

/// A module under comparison.
pub(super) struct Side {
    pub(super) module: LoadedModule,
    is_embedded: bool,
}

impl Side {
    pub(super) fn new(module: &Source, sandbox: &SandboxArgs) -> anyhow::Result<Self> {
        Ok(Self { module: sandbox.load_now(module)?, is_embedded: *module == Source::Embedded })
    }

    pub(super) fn ask(&self, case: &Case) -> JudgedOutcome {
        match case.addresses() {
            Ok(addresses) => JudgedOutcome::of(&self.module, &self.request(case), &case.document.entry, &addresses),
            Err(error) => JudgedOutcome::Failed(error.to_string()),
        }
    }

    /// The parameters of this module. The default rules refuse a parameter that they do not know, and the other module may be
    /// given one.
    fn request(&self, case: &Case) -> Request {
        let mut request = case.request().clone();
        if self.is_embedded {
            request.parameters.retain(|(key, _)| NAMES.contains(&key.as_str()));
        }
        request
    }
}
