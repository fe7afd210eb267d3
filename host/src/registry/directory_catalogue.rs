//! The catalogue of a directory of recorded answers: the services that its files are about. Read when asked for.

use std::future::ready;
use std::path::PathBuf;

use futures::future::BoxFuture;

use super::catalogue::{Catalogue, CatalogueSource, Listing};
use super::decode::ANSWER_LIMIT;
use super::directory::is_answer;
use super::{Content, RegistryError, decode_answer};
use crate::watch_dir::FileError;

/// A directory of recorded answers.
#[derive(Debug)]
pub struct DirectoryCatalogue {
    path: PathBuf,
}

impl CatalogueSource for DirectoryCatalogue {
    fn list<'a>(&'a self, namespace: &'a str, _: &'a str) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        Box::pin(ready(self.read(namespace)))
    }
}

impl DirectoryCatalogue {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// A file that cannot be understood may be about any service, so then there is no answer.
    fn read(&self, namespace: &str) -> Result<Listing, RegistryError> {
        let unreadable = |path: PathBuf, source| RegistryError::from(FileError::Read { path, source });
        let files = std::fs::read_dir(&self.path).map_err(|error| unreadable(self.path.clone(), error))?;
        let mut catalogue = Catalogue::default();
        for file in files.flatten().filter(|file| file.file_name().to_str().is_some_and(is_answer)) {
            let (path, origin) = (file.path(), format!("registry answer {}", file.path().display()));
            if file.metadata().is_ok_and(|file| file.len() > ANSWER_LIMIT as u64) {
                return Err(RegistryError::TooLarge { origin, limit: ANSWER_LIMIT });
            }
            let text = std::fs::read(&path).map_err(|error| unreadable(path, error))?;
            let answer = decode_answer(&text, &origin)?;
            if let (Content::Listed(service), true) = (answer.content, answer.service.namespace == namespace) {
                let metadata = service.metadata.iter().cloned().collect();
                catalogue.services.insert(answer.service.name, metadata);
            }
        }
        if !catalogue.services.is_empty() {
            catalogue.revision = "files".into();
        }
        Ok(Listing::Listed(catalogue))
    }
}
