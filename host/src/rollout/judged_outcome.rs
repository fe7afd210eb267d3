//! What a module makes of an entry that holds nothing of its doing yet, after the host's own checks.

use polaris2istio_core::model::{Outcome, Request, Severity, Update, Verdict};

use crate::converter::breach;
use crate::converter::{CallError, LoadedModule};
use crate::istio::ServiceEntry;
use crate::plan::AddressRule;

/// A module's answer, as it would fare.
#[derive(Debug)]
pub enum JudgedOutcome {
    /// It would be written.
    Update(Update),
    /// The entry would be left as it is; with the errors.
    Rejected(Vec<String>),
    /// The entry would be left as it is, through a fault of the module; with the reason, which is the module's own or the
    /// host's, that would refuse what it gave.
    Failed(String),
}

impl JudgedOutcome {
    /// Asks a module, more than once, since a part of the contract shows only then.
    pub fn of(converter: &LoadedModule, request: &Request, live: &ServiceEntry, addresses: &AddressRule) -> Self {
        Self::checked(converter, request, converter.ask(request), live, addresses)
    }

    /// The same for a module that gave its first answer already.
    pub(super) fn checked(
        converter: &LoadedModule,
        request: &Request,
        answer: Result<Outcome, CallError>,
        live: &ServiceEntry,
        addresses: &AddressRule,
    ) -> Self {
        match answer.as_ref().ok().and_then(|outcome| breach(converter, request, outcome, live, addresses)) {
            Some(breach) => Self::Failed(format!("breaks the contract: {breach}")),
            None => Self::judged(answer),
        }
    }

    /// The answer itself, where it is known to keep the contract.
    pub(super) fn judged(answer: Result<Outcome, CallError>) -> Self {
        let outcome = match answer {
            Ok(outcome) => outcome,
            Err(error) => return Self::Failed(error.to_string()),
        };
        match outcome.verdict {
            Verdict::Update(update) => Self::Update(update),
            Verdict::Unchanged | Verdict::Rejected => {
                let errors = outcome.diagnostics.into_iter().filter(|found| found.severity == Severity::Error);
                Self::Rejected(errors.map(|error| format!("{}: {}", error.code, error.message)).collect())
            }
        }
    }
}
