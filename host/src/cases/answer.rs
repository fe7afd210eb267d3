//! A module's answer to a case, and its written form.

use polaris2istio_core::model::{Outcome, Request};
use serde_json::json;

use super::layout::pretty;
use crate::converter::{CallError, LoadedModule};

/// An outcome, or the module's own statement that it cannot convert. A trap or the like cannot be expected.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Outcome(Outcome),
    /// It failed, with its reason.
    Failure(String),
}

impl Answer {
    pub fn of(module: &LoadedModule, request: &Request) -> Result<Self, CallError> {
        match module.ask(request) {
            Ok(outcome) => Ok(Self::Outcome(outcome)),
            Err(CallError::Failed { message }) => Ok(Self::Failure(message)),
            Err(error) => Err(error),
        }
    }

    /// The text of `outcome.json`.
    pub fn text(&self) -> String {
        pretty(&match self {
            Self::Outcome(outcome) => json!(outcome),
            Self::Failure(message) => json!({ "failure": message }),
        })
    }
}
