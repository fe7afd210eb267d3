//! One of two modules that are compared, and what it says to a case.

use polaris2istio_core::model::{Request, Severity, Update, Verdict};
use polaris2istio_core::parameters::NAMES;

use crate::cases::{Answer, Case, breach};
use crate::cli::SandboxArgs;
use crate::converter::Converter;
use crate::converter::source::Source;

/// A module under comparison.
pub(super) struct Side {
    pub(super) converter: Converter,
    is_embedded: bool,
}

/// What a module makes of an entry that holds nothing of its doing yet.
pub(super) enum Said {
    Update(Update),
    /// With the errors.
    Rejected(Vec<String>),
    /// With the reason: of the module, or of the host that would refuse what it gave.
    Failed(String),
}

impl Side {
    pub(super) fn new(module: &Source, sandbox: &SandboxArgs) -> anyhow::Result<Self> {
        Ok(Self { converter: sandbox.converter_now(module)?, is_embedded: *module == Source::Embedded })
    }

    pub(super) fn ask(&self, case: &Case) -> Said {
        let request = self.request(case);
        let outcome = match Answer::of(&self.converter, &request) {
            Ok(Answer::Outcome(outcome)) => outcome,
            Ok(Answer::Failure(reason)) => return Said::Failed(reason),
            Err(error) => return Said::Failed(error.to_string()),
        };
        if let Some(breach) = breach(case, &self.converter, &request, &outcome) {
            return Said::Failed(format!("breaks the contract: {breach}"));
        }
        match outcome.verdict {
            Verdict::Update(update) => Said::Update(update),
            Verdict::Unchanged | Verdict::Rejected => {
                let errors = outcome.diagnostics.into_iter().filter(|found| found.severity == Severity::Error);
                Said::Rejected(errors.map(|error| format!("{}: {}", error.code, error.message)).collect())
            }
        }
    }

    /// The default rules refuse a parameter that they do not know, which may be what the other module is given.
    fn request(&self, case: &Case) -> Request {
        let mut request = case.request().clone();
        if self.is_embedded {
            request.parameters.retain(|(key, _)| NAMES.contains(&key.as_str()));
        }
        request
    }
}
