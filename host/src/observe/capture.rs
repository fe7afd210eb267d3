//! An entry of a running controller with all that its conversion depends on, to be tried elsewhere: a case for an author of modules.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::view::View;
use crate::binding::empty_service;
use crate::converter::CallError;
use crate::istio::encode_entry;
use crate::registry::{Content, encode_answer};

/// The parts of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capture {
    /// The entry, as `namespace/name`.
    pub name: String,
    pub entry: Value,
    /// The registry's last answer, as its HTTP API has it.
    pub answer: Value,
    /// The parameters of the module in use.
    pub parameters: BTreeMap<String, String>,
    /// The module in use: name, version and digest.
    pub module: String,
    /// What it says of both; `None` if the call went wrong.
    pub outcome: Option<Value>,
    /// Why it says nothing; empty if it does.
    pub silence: String,
}

impl Capture {
    /// Takes an entry, given as `namespace/name`. The module is asked anew, and nothing is written.
    ///
    /// # Errors
    ///
    /// There is no such entry, it names no service, or there was no answer yet.
    pub async fn of(view: &View, name: &str) -> Result<Self, String> {
        let (entry, service, _) = view.entry(name).ok_or_else(|| view.no_such_entry(name))?;
        let service = service.ok_or_else(|| format!("entry {name}: names no service, so there is no answer for it"))?;
        let last = view.controller.heard(&service).and_then(|state| state.last);
        let last = last.ok_or_else(|| format!("service {service}: the registry has given no answer for it yet"))?;
        let active = view.modules.active();
        let mut capture = Self {
            name: entry.title(),
            entry: encode_entry(&entry),
            answer: encode_answer(&service, &last.content),
            parameters: active.identity().parameters.clone(),
            module: view.module(),
            outcome: None,
            silence: String::new(),
        };
        let content = match &last.content {
            Content::Listed(listed) => Arc::clone(listed),
            Content::Missing => Arc::new(empty_service(Some(&service))),
        };
        match entry.view() {
            Err(unsupported) => capture.silence = unsupported.to_string(),
            Ok(request) => match active.convert(content, Arc::new(request), None).await {
                Ok(outcome) => capture.outcome = Some(json!(outcome)),
                Err(CallError::Failed { message }) => capture.outcome = Some(json!({ "failure": message })),
                Err(error) => capture.silence = error.to_string(),
            },
        }
        Ok(capture)
    }
}
