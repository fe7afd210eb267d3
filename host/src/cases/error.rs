//! The errors in the files of a case.

use std::path::{Path, PathBuf};

/// The reasons why a case cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// A folder or a file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// The outcome cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Unwritable { path: PathBuf, source: std::io::Error },
    /// There is no case at all.
    #[error(
        "{}: holds no case; a case is a folder with {} and {}, in the folder that is given",
        path.display(), super::ENTRY, super::ANSWER
    )]
    None {
        /// The folder in which cases were sought.
        path: PathBuf,
    },
    /// A file that every case has is missing.
    #[error("{}: is not there; a case has {} and {}", path.display(), super::ENTRY, super::ANSWER)]
    Missing { path: PathBuf },
    /// A file that no case has.
    #[error(
        "{}: is no file of a case; a case has {}, {}, {}, {} and {}, and nothing else",
        path.display(), super::ENTRY, super::ANSWER, super::EARLIER, super::PARAMETERS, super::OUTCOME
    )]
    Unknown { path: PathBuf },
    /// A file's content is unfit.
    #[error("{}: {detail}", path.display())]
    Unfit { path: PathBuf, detail: String },
    /// A file's text cannot be read; the message names the file.
    #[error("{0}")]
    Text(String),
}

impl CaseError {
    pub(super) fn unfit(path: &Path, detail: impl ToString) -> Self {
        Self::Unfit { path: path.to_owned(), detail: detail.to_string() }
    }

    pub(super) fn text(error: impl ToString) -> Self {
        Self::Text(error.to_string())
    }
}
