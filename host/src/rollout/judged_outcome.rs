//! The outcome of a module for an entry that holds nothing of its making yet, after the host's own checks.

use polaris2istio_core::model::{Outcome, Request, Severity, Update, Verdict};

use crate::converter::{CallError, LoadedModule, breach};
use crate::istio::ServiceEntry;
use crate::plan::AddressRule;

/// A module's answer, with the host's judgement.
#[derive(Debug)]
pub enum JudgedOutcome {
    /// It would be written.
    Update(Update),
    /// The entry would be left as it is; with the errors.
    Rejected(Vec<String>),
    /// The entry would be left as it is, through a fault of the module. The reason is the module's own, or that of the host,
    /// which would refuse the outcome.
    Failed(String),
}

impl JudgedOutcome {
    /// Asks a module. It asks more than once, since a part of the contract shows only then.
    pub fn of(module: &LoadedModule, request: &Request, live: &ServiceEntry, addresses: &AddressRule) -> Self {
        Self::checked(module, request, module.ask(request), live, addresses)
    }

    /// Judges a module that gave its first answer already.
    pub(super) fn checked(
        module: &LoadedModule,
        request: &Request,
        answer: Result<Outcome, CallError>,
        live: &ServiceEntry,
        addresses: &AddressRule,
    ) -> Self {
        match answer.as_ref().ok().and_then(|outcome| breach(module, request, outcome, live, addresses)) {
            Some(breach) => Self::Failed(format!("breaks the contract: {breach}")),
            None => Self::judged(answer),
        }
    }

    /// The answer itself, if it is known to keep the contract.
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
