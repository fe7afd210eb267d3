//! Why the output directory cannot be used, or an output in it is not there.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::plan::ApplyError;

/// The output directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// It cannot be written to.
    #[error("output directory {path}: {source}; create it, or let this process write to it", path = .path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Outputs would be read as entries.
    #[error(
        "--output {output} is inside of --entries {entries}, so results would lie among the entries; give --output a directory outside of it",
        output = .output.display(), entries = .entries.display()
    )]
    Inside {
        /// Where outputs were to go.
        output: PathBuf,
        /// Where entries are.
        entries: PathBuf,
    },
}

/// Why an output is not there, by what the system says.
pub(super) fn not_written(path: &Path, error: &std::io::Error) -> ApplyError {
    let shown = path.display();
    match error.kind() {
        ErrorKind::InvalidFilename => {
            let bytes = path.file_name().map_or(0, |name| name.len());
            let detail = format!(
                "{shown}: a file's name of {bytes} bytes is too long for the file system; give the entry a shorter name"
            );
            ApplyError::Refused { detail }
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ApplyError::Forbidden {
            detail: format!("{shown}: {error}"),
            remedy: "let this process write to the output directory".into(),
        },
        _ => ApplyError::Unavailable { detail: format!("{shown}: {error}") },
    }
}
