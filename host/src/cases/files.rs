//! The two files that a conversion is tried on: one entry, and the registry's answer about its service.

use std::path::Path;

use super::CaseError;
use crate::annotation::{NAMESPACE, SERVICE};
use crate::binding::binding;
use crate::entries::Document;
use crate::registry::{Answer, decode_answer};

/// The longest name of the registry. A case about an entry with a longer one has an answer about another service.
const LONGEST_NAME: usize = 128;

/// The one ServiceEntry of a file.
pub fn entry(path: &Path) -> Result<Document, CaseError> {
    let text = read(path)?;
    // Its errors name the file by themselves.
    let mut documents = Document::parse_all(&text, &path.display().to_string()).map_err(CaseError::text)?;
    match (documents.pop(), documents.len()) {
        (Some(document), 0) => Ok(document),
        (found, more) => {
            let count = more + usize::from(found.is_some());
            Err(CaseError::unfit(path, format!("holds {count} ServiceEntries; give exactly one")))
        }
    }
}

/// The answer in a file, which must be about the service that the entry names.
pub fn answer(path: &Path, document: &Document) -> Result<Answer, CaseError> {
    let answer = decode_answer(&read(path)?, &path.display().to_string()).map_err(CaseError::text)?;
    match binding(&document.entry) {
        Some(bound) if bound != answer.service && bound.namespace.len().max(bound.name.len()) <= LONGEST_NAME => {
            let detail = format!(
                "is about {}, but the entry names {bound} ({NAMESPACE}, {SERVICE}); give the answer of that service",
                answer.service
            );
            Err(CaseError::unfit(path, detail))
        }
        _ => Ok(answer),
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, CaseError> {
    std::fs::read(path).map_err(|source| CaseError::Unreadable { path: path.to_owned(), source })
}

/// The text of a file; `None` if there is no such file.
pub(super) fn if_there<T>(found: Result<T, CaseError>) -> Result<Option<T>, CaseError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(CaseError::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
