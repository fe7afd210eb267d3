//! One look at a directory: what is there, compared with what was there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::stamp::{Identity, Stamp};
use super::{DirError, DirNews, FileError, FileNews, WatchOptions, remedy};
use crate::hash::hash;

/// How soon to look again at a file that changed while it was read, and at a directory that is away.
const SOON: Duration = Duration::from_millis(50);

/// A file that changed this recently may change again without its times moving, as they move in steps.
const RACY: Duration = Duration::from_millis(100);

/// When to look again at a file that changed so recently.
const NO_MORE_RACY: Duration = Duration::from_millis(120);

/// Decides by name which files count.
pub(super) type Filter = Box<dyn Fn(&str) -> bool + Send>;

pub(super) type Parse<T, E> = Box<dyn Fn(&Path, &[u8]) -> Result<T, E> + Send>;

type Changes<T, E> = Vec<(PathBuf, FileNews<T, E>)>;

/// The findings of one look.
pub(super) struct Scan<T, E> {
    pub(super) news: Vec<DirNews<T, E>>,
    /// When to look again even without an event.
    pub(super) again_in: Option<Duration>,
    /// Which directory it was.
    pub(super) identity: Option<Identity>,
}

/// Remembers from look to look.
pub(super) struct Scanner<T, E> {
    path: PathBuf,
    options: WatchOptions,
    filter: Filter,
    parse: Parse<T, E>,
    files: BTreeMap<PathBuf, Known>,
    /// Since when the directory is away, and whether that was told.
    away: Option<(Instant, bool)>,
    again_in: Option<Duration>,
}

#[derive(Debug, Default)]
struct Known {
    /// Set while an equal stamp means equal content.
    stamp: Option<Stamp>,
    /// Of the content that was told last; `None` before the first.
    told: Option<u64>,
    /// Since when the file is missing, or empty.
    missing: Option<Instant>,
    /// A content that fails, since when it does so.
    failing: Option<(u64, Instant)>,
}

impl<T, E: From<FileError>> Scanner<T, E> {
    pub(super) fn new(path: PathBuf, options: WatchOptions, filter: Filter, parse: Parse<T, E>) -> Self {
        Self { path, options, filter, parse, files: BTreeMap::new(), away: None, again_in: None }
    }

    /// The first look: every file is told of as it is.
    pub(super) fn first(&mut self) -> io::Result<Scan<T, E>> {
        let (identity, present) = self.list()?;
        let changes = self.compare(&present, true);
        Ok(Scan { news: vec![DirNews::Files(changes)], again_in: self.again_in.take(), identity: Some(identity) })
    }

    /// A later look.
    pub(super) fn scan(&mut self) -> Scan<T, E> {
        let mut news = Vec::new();
        let identity = match self.list() {
            Ok((identity, present)) => {
                if let Some((_, true)) = self.away.take() {
                    news.push(DirNews::Recovered);
                }
                let changes = self.compare(&present, false);
                if !changes.is_empty() {
                    news.push(DirNews::Files(changes));
                }
                Some(identity)
            }
            Err(error) => {
                news.extend(self.is_away(error).map(DirNews::Failed));
                None
            }
        };
        Scan { news, again_in: self.again_in.take(), identity }
    }

    fn is_away(&mut self, source: io::Error) -> Option<DirError> {
        self.look_again_in(SOON);
        let (since, told) = *self.away.get_or_insert_with(|| (Instant::now(), false));
        if told || since.elapsed() < self.options.vanish_grace {
            return None;
        }
        self.away = Some((since, true));
        Some(DirError { path: self.path.clone(), remedy: remedy(&source), source })
    }

    /// The files that count; a symlink counts as what it points to.
    fn list(&self) -> io::Result<(Identity, BTreeMap<PathBuf, Stamp>)> {
        let identity = Identity::of(&fs::metadata(&self.path)?);
        let mut present = BTreeMap::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_str().is_some_and(|name| (self.filter)(name)) {
                continue;
            }
            // What cannot be looked at is gone by now, or points nowhere.
            if let Ok(metadata) = fs::metadata(entry.path())
                && metadata.is_file()
            {
                present.insert(entry.path(), Stamp::of(&metadata));
            }
        }
        Ok((identity, present))
    }

    fn compare(&mut self, present: &BTreeMap<PathBuf, Stamp>, first: bool) -> Changes<T, E> {
        let mut changes = Vec::new();
        let mut files = std::mem::take(&mut self.files);
        for (path, stamp) in present {
            let known = files.entry(path.clone()).or_default();
            if known.stamp != Some(*stamp) {
                changes.extend(self.read_again(path, *stamp, known, first).map(|news| (path.clone(), news)));
            }
        }
        files.retain(|path, known| {
            let gone = !present.contains_key(path) && self.is_gone(known);
            // A file that was never told of has nobody to miss it.
            if gone && known.told.is_some() {
                changes.push((path.clone(), FileNews::Gone));
            }
            !gone
        });
        self.files = files;
        changes.sort_by(|(a, _), (b, _)| a.cmp(b));
        changes
    }

    /// Whether a file has been missing for too long.
    fn is_gone(&mut self, known: &mut Known) -> bool {
        known.stamp = None;
        known.failing = None;
        let away = known.missing.get_or_insert_with(Instant::now).elapsed();
        let left = self.options.vanish_grace.saturating_sub(away);
        if !left.is_zero() {
            self.look_again_in(left);
        }
        left.is_zero()
    }

    fn read_again(&mut self, path: &Path, stamp: Stamp, known: &mut Known, first: bool) -> Option<FileNews<T, E>> {
        let (content, digest) = self.content(path, stamp);
        let after = fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata));
        if after != Some(stamp) && !first {
            // Someone is writing: what was read may be half of it.
            self.look_again_in(SOON);
            return None;
        }
        // Only then does an equal stamp mean equal content.
        let settled = stamp.is_older_than(RACY);
        if !settled {
            self.look_again_in(NO_MORE_RACY);
        }
        // An editor empties a file before it fills it, and not everything that is empty fails to be parsed.
        let empty = self.options.contents && content.as_ref().is_ok_and(Vec::is_empty);
        if empty && known.told.is_some_and(|told| told != digest) {
            if !self.is_gone(known) {
                return None;
            }
        } else {
            known.missing = None;
        }
        if known.told == Some(digest) {
            known.failing = None;
            known.stamp = settled.then_some(stamp);
            return None;
        }
        let parsed = content.map_err(E::from).and_then(|content| (self.parse)(path, &content));
        let news = match parsed {
            Ok(parsed) => FileNews::Parsed(parsed),
            Err(error) => {
                if !first && !self.has_failed_long(known, digest) {
                    return None;
                }
                FileNews::Failed(error)
            }
        };
        known.told = Some(digest);
        known.failing = None;
        known.stamp = settled.then_some(stamp);
        Some(news)
    }

    /// The content of a file, and a hash of it, or of the words that say why there is none.
    fn content(&self, path: &Path, stamp: Stamp) -> (Result<Vec<u8>, FileError>, u64) {
        if !self.options.contents {
            return (Ok(Vec::new()), hash(stamp));
        }
        let content = read(path, self.options.file_limit);
        let digest = content.as_ref().map_or_else(|error| hash(error.to_string()), hash);
        (content, digest)
    }

    /// Whether a content has failed for long enough to be told.
    fn has_failed_long(&mut self, known: &mut Known, digest: u64) -> bool {
        let since = match known.failing {
            Some((failing, since)) if failing == digest => since,
            _ => Instant::now(),
        };
        known.failing = Some((digest, since));
        let left = self.options.settle.saturating_sub(since.elapsed());
        if !left.is_zero() {
            self.look_again_in(left);
        }
        left.is_zero()
    }

    fn look_again_in(&mut self, wait: Duration) {
        self.again_in = Some(self.again_in.map_or(wait, |earlier| earlier.min(wait)));
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut content))
        .map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    if content.len() as u64 > limit {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(content)
}
