//! Golden cases: one entry and one answer as files, and the outcome that a module is to give for them.
//!
//! A case is a folder: `entry.yaml`, `answer.json`, optionally `earlier.json` (an answer whose content the entry already
//! holds) and `parameters.json`, and `outcome.json`, which a command writes. The tests of the default rules and
//! `polaris2istio module test` read them by the same code, so that a case of the one is a case of the other.

mod answer;
mod error;
pub mod files;
mod layout;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polaris2istio_core::model::{Outcome, Request, Service, Verdict};
use polaris2istio_core::parameters::NAMES;

use crate::binding::empty_service;
use crate::converter::{self, CallError, LoadedModule, Parameters};
use crate::entries::Document;
use crate::plan::AddressRule;
use crate::registry::{self, Content};
use crate::text;

pub use answer::Answer;
pub use error::CaseError;
use files::if_there;
pub use layout::pretty;

/// The entry, as `kubectl get -o yaml` gives it or an operator writes it.
pub const ENTRY: &str = "entry.yaml";
pub const ANSWER: &str = "answer.json";
/// Optional: an earlier answer, whose content the entry holds.
pub const EARLIER: &str = "earlier.json";
/// Optional: the module's parameters, as an object of texts.
pub const PARAMETERS: &str = "parameters.json";
pub const OUTCOME: &str = "outcome.json";

pub struct Case {
    pub name: String,
    pub directory: PathBuf,
    pub document: Document,
    parameters: Parameters,
    request: Request,
    earlier: Option<Request>,
}

impl Case {
    /// The folders of all cases under a folder, by name; the folder itself if it is a case.
    pub fn directories(root: &Path) -> Result<Vec<PathBuf>, CaseError> {
        if root.join(ENTRY).is_file() {
            return Ok(vec![root.to_owned()]);
        }
        let unreadable = |source| CaseError::Unreadable { path: root.to_owned(), source };
        let mut directories = Vec::new();
        for entry in root.read_dir().map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.is_dir() {
                directories.push(path);
            }
        }
        directories.sort();
        if directories.is_empty() { Err(CaseError::None { path: root.to_owned() }) } else { Ok(directories) }
    }

    /// Reads a case. `more` are parameters that count if the case has none of that name.
    pub fn read(directory: &Path, more: &[(String, String)]) -> Result<Self, CaseError> {
        check_names(directory)?;
        let path = |file: &str| directory.join(file);
        let missing = |file: &str| CaseError::Missing { path: path(file) };
        let document = if_there(files::entry(&path(ENTRY)))?.ok_or_else(|| missing(ENTRY))?;
        let now = if_there(files::answer(&path(ANSWER), &document))?.ok_or_else(|| missing(ANSWER))?;
        let earlier = if_there(files::answer(&path(EARLIER), &document))?;
        let mut parameters = parameters(directory)?;
        let more: Vec<_> = more.iter().filter(|(key, _)| !parameters.iter().any(|(own, _)| own == key)).collect();
        parameters.extend(more.into_iter().cloned());
        parameters.sort();
        let entry = document.entry.view().map_err(|error| CaseError::unfit(&path(ENTRY), error))?;
        let request = |answer| Request {
            service: service(answer),
            entry: entry.clone(),
            parameters: parameters.clone(),
            published: None,
        };
        Ok(Self {
            name: directory.file_name().unwrap_or(directory.as_os_str()).to_string_lossy().into_owned(),
            directory: directory.to_owned(),
            request: request(now),
            earlier: earlier.map(request),
            parameters,
            document,
        })
    }

    /// The request to the module as the host makes it, without a published content revision.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The earlier request, if the case is about a change.
    pub fn earlier(&self) -> Option<&Request> {
        self.earlier.as_ref()
    }

    /// The host's own rule on addresses, which follows the same parameters.
    pub fn addresses(&self) -> Result<AddressRule, CaseError> {
        let known = |(key, _): &&(String, String)| NAMES.contains(&key.as_str());
        let known: Parameters = self.parameters.iter().filter(known).cloned().collect();
        AddressRule::read(&known).map_err(|failure| CaseError::unfit(&self.directory.join(PARAMETERS), failure.message))
    }

    /// The whole request, with the content revision of the earlier answer, if there is one.
    pub fn question(&self, module: &LoadedModule) -> Result<Request, CallError> {
        let mut request = self.request.clone();
        if let Some(earlier) = &self.earlier
            && let Verdict::Update(update) = module.ask(earlier)?.verdict
        {
            request.published = update.content_revision;
        }
        Ok(request)
    }

    /// The text of the expected outcome; `None` if it was never written.
    pub fn expected(&self) -> Result<Option<String>, CaseError> {
        let text = if_there(files::read(&self.directory.join(OUTCOME)))?;
        Ok(text.map(|text| String::from_utf8_lossy(text::without_mark(&text)).into()))
    }

    /// Writes the expected outcome.
    pub fn expect(&self, text: &str) -> Result<(), CaseError> {
        let path = self.directory.join(OUTCOME);
        std::fs::write(&path, text).map_err(|source| CaseError::Unwritable { path, source })
    }
}

/// The breach of the contract by an outcome of a case, in words; `None` if it keeps the contract.
pub fn breach(case: &Case, module: &LoadedModule, request: &Request, outcome: &Outcome) -> Option<String> {
    match case.addresses() {
        Ok(addresses) => converter::breach(module, request, outcome, &case.document.entry, &addresses),
        Err(error) => Some(error.to_string()),
    }
}

/// Refuses a file that no code reads: it is likely a misspelt one.
fn check_names(directory: &Path) -> Result<(), CaseError> {
    let unreadable = |source| CaseError::Unreadable { path: directory.to_owned(), source };
    for file in directory.read_dir().map_err(unreadable)? {
        let name = file.map_err(unreadable)?.file_name();
        let known = [ENTRY, ANSWER, EARLIER, PARAMETERS, OUTCOME].iter().any(|known| name == *known);
        if !known && !name.as_encoded_bytes().starts_with(b".") {
            return Err(CaseError::Unknown { path: directory.join(name) });
        }
    }
    Ok(())
}

fn parameters(directory: &Path) -> Result<Parameters, CaseError> {
    let path = directory.join(PARAMETERS);
    let Some(text) = if_there(files::read(&path))? else { return Ok(Parameters::new()) };
    let map: std::collections::BTreeMap<String, String> =
        serde_json::from_slice(text::without_mark(&text)).map_err(|error| {
            CaseError::unfit(&path, format!("{error}; write an object of texts, as {{\"env\": \"prod\"}}"))
        })?;
    Ok(map.into_iter().collect())
}

/// The service of an answer, as the module is given it.
fn service(answer: registry::Answer) -> Service {
    match answer.content {
        Content::Listed(service) => Arc::unwrap_or_clone(service),
        Content::Missing => empty_service(Some(&answer.service)),
    }
}
