//! The document as a file, written whole and renamed into place. It has one writer: two controllers on one file are not
//! meant.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::StateError;
use super::document::{Document, Read};
use crate::text;

/// A file with the document as JSON.
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// Names the file, which need not exist.
    pub fn new(path: &Path) -> Self {
        Self { path: path.into() }
    }

    pub(super) fn read<D: Document>(&self) -> Result<Read<D>, StateError> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Read::default()),
            Err(error) => return Err(self.failed(&error)),
        };
        let document = serde_json::from_slice(text::without_mark(&text)).map_err(|error| StateError::Malformed {
            place: format!("state file {}", self.path.display()),
            detail: error.to_string(),
        })?;
        Ok(Read { document, ..Read::default() })
    }

    pub(super) fn write<D: Document>(&self, document: &D) -> Result<String, StateError> {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let write = || {
            let mut file = tempfile::Builder::new().prefix(".state-").tempfile_in(directory)?;
            file.write_all(serde_json::to_string_pretty(document)?.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.path).map_err(|error| error.error)?;
            Ok(String::new())
        };
        write().map_err(|error: std::io::Error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> StateError {
        StateError::File { path: self.path.display().to_string(), detail: error.to_string() }
    }
}
