//! Reads a file that others may be writing: never a half of it.
//!
//! A file that was left alone for a while is read at once. One that changed lately must first stand still for
//! [`Settings::settle`], and a file that is another one after it was read is read again. (A writer that pauses for longer
//! than that in the middle of a file cannot be told from one that has finished; then a half comes, and the whole after it.)

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Settings, SourceError, blocking};
use crate::watch_dir::Stamp;

/// A file whose times are this old is not being written.
const OLD: Duration = Duration::from_secs(2);

/// The time after which a file that never stands still is a trouble worth telling.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a file of at most the allowed size.
pub(super) async fn read(path: &Path, settings: &Settings) -> Result<Vec<u8>, SourceError> {
    let end = Instant::now() + settings.settle + PATIENCE;
    let mut seen = None;
    loop {
        let (at, limit, before) = (path.to_owned(), settings.size_limit, seen);
        match blocking(&path.display().to_string(), move || attempt(&at, limit, before)).await?? {
            Attempt::Read(bytes) => return Ok(bytes),
            Attempt::Moving(stamp) => seen = Some(stamp),
        }
        if Instant::now() > end {
            return Err(file(path, "it keeps changing".into(), "write it under another name and rename it"));
        }
        sleep(settings.settle).await;
    }
}

/// The error for a path that cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> SourceError {
    let (problem, remedy) = match error.kind() {
        io::ErrorKind::NotFound => ("it does not exist".to_owned(), "put it there, or name another"),
        io::ErrorKind::PermissionDenied => (error.to_string(), "make it readable for this user"),
        _ => (error.to_string(), "see that it can be read"),
    };
    file(path, format!("cannot be read: {problem}"), remedy)
}

pub(super) fn file(path: &Path, problem: String, remedy: &'static str) -> SourceError {
    SourceError::File { path: path.into(), problem, remedy }
}

enum Attempt {
    Read(Vec<u8>),
    /// It was changed lately, or while it was read.
    Moving(Stamp),
}

fn attempt(path: &PathBuf, limit: u64, seen: Option<Stamp>) -> Result<Attempt, SourceError> {
    let stamp_now = || {
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            return Err(file(
                path,
                "it is a directory, not a file".into(),
                "name the file, or the directory as directory:PATH",
            ));
        }
        if !metadata.is_file() {
            // Opening a pipe would wait for a writer, and a device has no end.
            return Err(file(path, "it is not a regular file".into(), "name the .wasm file that a build wrote"));
        }
        Ok(Stamp::of(&metadata))
    };
    let stamp = stamp_now()?;
    let too_large = |size| SourceError::TooLarge { origin: path.display().to_string(), size, limit };
    if stamp.length > limit {
        return Err(too_large(Some(stamp.length)));
    }
    if seen != Some(stamp) && !stamp.is_older_than(OLD) {
        return Ok(Attempt::Moving(stamp));
    }
    let open = File::open(path).and_then(|file| Ok((Stamp::of(&file.metadata()?), file)));
    let (opened, file) = open.map_err(|error| unreadable(path, &error))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    // A file may say less than it has, as those of /proc do.
    if bytes.len() as u64 > limit {
        return Err(too_large(None));
    }
    let after = stamp_now()?;
    Ok(if opened == stamp && after == stamp { Attempt::Read(bytes) } else { Attempt::Moving(after) })
}
