//! A case: one entry and one answer, as files, and what is to become of them.

use std::path::{Path, PathBuf};

use polaris2istio::controller::{binding, empty_service};
use polaris2istio::converter::Parameters;
use polaris2istio::entries::Document;
use polaris2istio::istio::AddressRule;
use polaris2istio::registry::{Answer, Content, decode_answer};
use polaris2istio_core::model::{Request, Service};

/// The entry, as `kubectl get -o yaml` gives it or an operator writes it.
pub(crate) const ENTRY: &str = "entry.yaml";
/// The registry's answer.
pub(crate) const ANSWER: &str = "answer.json";
/// Where there is one: an earlier answer, whose content is what the entry holds.
pub(crate) const EARLIER: &str = "earlier.json";
/// Where there are any: the module's parameters, as an object.
pub(crate) const PARAMETERS: &str = "parameters.json";
/// The outcome, written by the tests.
pub(crate) const OUTCOME: &str = "outcome.json";

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    pub(crate) document: Document,
    parameters: Parameters,
}

/// The folder of all cases.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

impl Case {
    /// All cases, by name.
    pub(crate) fn all() -> Vec<Self> {
        let mut directories: Vec<_> = root().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        directories.sort();
        assert!(!directories.is_empty(), "there are cases");
        directories.into_iter().map(Self::read).collect()
    }

    fn read(directory: PathBuf) -> Self {
        let name = directory.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read(directory.join(ENTRY)).unwrap_or_else(|error| panic!("{name}/{ENTRY}: {error}"));
        let mut documents = Document::parse_all(&text, &format!("{name}/{ENTRY}")).unwrap();
        assert_eq!(documents.len(), 1, "{name}/{ENTRY} holds one ServiceEntry");
        let parameters = std::fs::read(directory.join(PARAMETERS)).ok().map(|text| {
            let map: std::collections::BTreeMap<String, String> = serde_json::from_slice(&text).unwrap();
            map.into_iter().collect()
        });
        Self { name, document: documents.remove(0), parameters: parameters.unwrap_or_default(), directory }
    }

    /// What the module is asked, as the host asks it.
    pub(crate) fn request(&self) -> Request {
        self.request_with(self.answer(ANSWER).unwrap_or_else(|| panic!("{} has no {ANSWER}", self.name)))
    }

    /// What it was asked before, where the case is about a change.
    pub(crate) fn earlier(&self) -> Option<Request> {
        self.answer(EARLIER).map(|answer| self.request_with(answer))
    }

    /// The host's own rule on addresses, which follows the same parameters.
    pub(crate) fn addresses(&self) -> AddressRule {
        AddressRule::read(&self.parameters).unwrap()
    }

    fn request_with(&self, answer: Answer) -> Request {
        if let Some(bound) = binding(&self.document.entry) {
            let names = bound.namespace.len().max(bound.name.len());
            assert!(bound == answer.service || names > 128, "{}: the answer is about {}", self.name, answer.service);
        }
        let service: Service = match answer.content {
            Content::Listed(service) => service,
            Content::Missing => empty_service(Some(&answer.service)),
        };
        let entry = self.document.entry.view().unwrap();
        Request { service, entry, parameters: self.parameters.clone(), published: None }
    }

    fn answer(&self, file: &str) -> Option<Answer> {
        let text = std::fs::read(self.directory.join(file)).ok()?;
        Some(decode_answer(&text, &format!("{}/{file}", self.name)).unwrap())
    }
}
