//! Runs something again whenever the files that it reads change.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::bail;

use crate::source::Source;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// No cases lie deeper than this below the folder that is given.
const DEPTH: usize = 3;

/// The files, with what shows that one changed.
type Stamps = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Runs it now, and again whenever the module or one of the cases changed and stands still, until the process is interrupted.
pub(super) fn watch(module: &Source, cases: &Path, mut run: impl FnMut()) -> anyhow::Result<ExitCode> {
    let (Source::File(module) | Source::Directory(module)) = module else {
        bail!("--watch: {module}: only a file or a directory is watched; name one, as target/mine.wasm");
    };
    loop {
        let before = stamps(&[module, cases]);
        run();
        writeln!(std::io::stdout(), "\nwaiting for a change of {} or {}\n", module.display(), cases.display())?;
        let mut now = before.clone();
        // A build writes for a while.
        while now == before || now != stamps(&[module, cases]) {
            now = stamps(&[module, cases]);
            std::thread::sleep(LOOK);
        }
    }
}

fn stamps(roots: &[&Path]) -> Stamps {
    let mut stamps = Stamps::new();
    roots.iter().for_each(|root| stamp(root, DEPTH, &mut stamps));
    stamps
}

fn stamp(path: &Path, depth: usize, stamps: &mut Stamps) {
    // What cannot be read is told by the run.
    let Ok(metadata) = path.metadata() else { return };
    if !metadata.is_dir() {
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        stamps.insert(path.into(), (modified, metadata.len()));
    } else if let Some(depth) = depth.checked_sub(1) {
        for entry in path.read_dir().into_iter().flatten().flatten() {
            stamp(&entry.path(), depth, stamps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_comes_changes_or_goes_shows() {
        let directory = tempfile::tempdir().unwrap();
        let (module, case) = (directory.path().join("mine.wasm"), directory.path().join("cases/one"));
        std::fs::create_dir_all(&case).unwrap();
        let look = || stamps(&[&module, &directory.path().join("cases")]);
        let empty = look();
        std::fs::write(&module, "a").unwrap();
        let built = look();
        std::fs::write(case.join("entry.yaml"), "a").unwrap();
        let added = look();
        std::fs::write(case.join("entry.yaml"), "bb").unwrap();
        let changed = look();
        assert!(empty != built && built != added && added != changed);
        assert_eq!(changed, look());
        std::fs::remove_file(&module).unwrap();
        assert_ne!(changed, look());
    }
}
