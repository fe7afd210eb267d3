//! A directory whose files are input: read, parsed, watched. It knows nothing of what the files mean.
//!
//! Files are written by editors (truncate and write, or rename), by git (delete and create) and by kubelet (a symlink swap),
//! so what lies there for a moment is not what someone meant: a file that vanishes and comes back within
//! [`WatchOptions::vanish_grace`] changes nothing, and a file that cannot be parsed has [`WatchOptions::settle`] to become
//! whole. What counts is content: a file that is touched, or written again as it was, is no news.
//!
//! Events only say *when* to look; each look reads the directory anew, so a lost event costs a few seconds, never an error.

mod fs_events;
mod scan;
mod stamp;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use self::fs_events::FsEvents;
use self::scan::{Scan, Scanner};
pub(crate) use self::stamp::Stamp;

/// How long no event may come before a look: a writer that is at work comes to an end first.
const QUIET: Duration = Duration::from_millis(15);

/// A look comes this soon, however many events come.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often to look where events work: for what they may have missed.
const LOOK_ANYWAY: Duration = Duration::from_secs(5);

/// How often to look where events do not work.
const LOOK_WITHOUT_EVENTS: Duration = Duration::from_millis(250);

/// How a directory is watched.
#[derive(Debug, Clone, Copy)]
pub struct WatchOptions {
    /// Larger files are not read, but failed. In bytes; 64 MiB by default.
    pub file_limit: u64,
    /// How long a file may be away, or empty, before that counts; likewise the directory. 2 s by default.
    pub vanish_grace: Duration,
    /// How long a file may fail before that counts. 250 ms by default.
    pub settle: Duration,
    /// Whether files are read. If not, every change of one is news, and `parse` is given nothing. `true` by default.
    pub contents: bool,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            file_limit: 64 << 20,
            vanish_grace: Duration::from_secs(2),
            settle: Duration::from_millis(250),
            contents: true,
        }
    }
}

/// Why a file could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{path}: {source}; make it readable for this process", path = path.display())]
    Read {
        path: PathBuf,
        /// The words of the system.
        source: io::Error,
    },
    /// It is larger than [`WatchOptions::file_limit`].
    #[error("{path}: it is larger than {limit} bytes and was not read; split it or remove it", path = path.display())]
    TooLarge {
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
}

/// Why a directory could not be read.
#[derive(Debug, thiserror::Error)]
#[error("directory {path}: {source}; {remedy}", path = path.display())]
pub struct DirError {
    pub path: PathBuf,
    /// The words of the system.
    pub source: io::Error,
    /// The remedy.
    pub remedy: &'static str,
}

/// The fate of one file.
#[derive(Debug, PartialEq, Eq)]
pub enum FileNews<T, E> {
    /// New content, parsed.
    Parsed(T),
    /// New content that cannot be parsed, or a file that cannot be read any more. What it last gave may still stand.
    Failed(E),
    /// It has been gone for longer than the grace.
    Gone,
}

/// The fate of the directory.
#[derive(Debug)]
pub enum DirNews<T, E> {
    /// These files changed, sorted by path. The first news of all tells of every file; it may be empty.
    Files(Vec<(PathBuf, FileNews<T, E>)>),
    /// The directory has been gone or unreadable for longer than the grace. Nothing is said of its files.
    Failed(DirError),
    /// It can be read again; news of its files follow where they changed.
    Recovered,
}

/// A watched directory, not its subdirectories. `T` is what a file is parsed to, `E` the error of parsing it.
pub struct WatchDir<T, E> {
    path: PathBuf,
    scanner: Arc<Mutex<Scanner<T, E>>>,
    doorbell: FsEvents,
    queue: VecDeque<DirNews<T, E>>,
    looking: Option<JoinHandle<Scan<T, E>>>,
    look_at: Instant,
    rung_since: Option<Instant>,
}

impl<T, E> std::fmt::Debug for WatchDir<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchDir").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<T, E> WatchDir<T, E>
where
    T: Send + 'static,
    E: From<FileError> + Send + 'static,
{
    /// Reads the directory once and watches it from then on. Only files whose name passes `filter` count; `parse` is given
    /// a file's path and content, on a thread that may block.
    ///
    /// Must be called within a tokio runtime; it blocks while the files are read.
    ///
    /// # Errors
    ///
    /// The directory does not exist, is none, or cannot be read.
    pub fn new(
        path: &Path,
        options: WatchOptions,
        filter: impl Fn(&str) -> bool + Send + 'static,
        parse: impl Fn(&Path, &[u8]) -> Result<T, E> + Send + 'static,
    ) -> Result<Self, DirError> {
        let fail = |source: io::Error| DirError { path: path.to_owned(), remedy: remedy(&source), source };
        // Events carry absolute paths; a symlink stays one, as it may be swapped.
        let path = std::path::absolute(path).map_err(fail)?;
        let mut doorbell = FsEvents::new(&path);
        let mut scanner = Scanner::new(path.clone(), options, Box::new(filter), Box::new(parse));
        let first = scanner.first().map_err(fail)?;
        doorbell.hang(first.identity);
        let look_at = next_look(&first, &doorbell);
        let queue = VecDeque::from(first.news);
        Ok(Self {
            path,
            scanner: Arc::new(Mutex::new(scanner)),
            doorbell,
            queue,
            looking: None,
            look_at,
            rung_since: None,
        })
    }

    /// The directory, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the next news. Nothing is lost when the future is dropped, so it fits a `select!`.
    pub async fn next(&mut self) -> DirNews<T, E> {
        loop {
            if let Some(news) = self.queue.pop_front() {
                return news;
            }
            if let Some(looking) = &mut self.looking {
                let scan = looking.await;
                self.looking = None;
                match scan {
                    Ok(scan) => self.take(scan),
                    Err(error) => match error.try_into_panic() {
                        // It goes on here, where it is noticed.
                        Ok(panic) => std::panic::resume_unwind(panic),
                        // The runtime is going.
                        Err(_) => self.look_at = Instant::now() + LOOK_ANYWAY,
                    },
                }
                continue;
            }
            let look_at = self.look_at;
            tokio::select! {
                () = self.doorbell.rung() => self.expect_quiet(),
                () = sleep_until(look_at) => self.look(),
            }
        }
    }

    /// An event came: look as soon as no more come.
    fn expect_quiet(&mut self) {
        let now = Instant::now();
        let since = *self.rung_since.get_or_insert(now);
        self.look_at = (now + QUIET).min(since + PATIENCE);
    }

    fn look(&mut self) {
        self.rung_since = None;
        let scanner = Arc::clone(&self.scanner);
        self.looking =
            Some(tokio::task::spawn_blocking(move || scanner.lock().unwrap_or_else(PoisonError::into_inner).scan()));
    }

    fn take(&mut self, scan: Scan<T, E>) {
        self.doorbell.hang(scan.identity);
        self.look_at = next_look(&scan, &self.doorbell);
        self.queue.extend(scan.news);
    }
}

fn next_look<T, E>(scan: &Scan<T, E>, doorbell: &FsEvents) -> Instant {
    let regular = if doorbell.works() { LOOK_ANYWAY } else { LOOK_WITHOUT_EVENTS };
    Instant::now() + scan.again_in.map_or(regular, |again| again.min(regular))
}

/// The remedy when a directory cannot be read.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "create it, or name another",
        io::ErrorKind::NotADirectory => "name a directory, not a file",
        io::ErrorKind::PermissionDenied => "let this process read and enter it",
        _ => "see that it can be listed",
    }
}
