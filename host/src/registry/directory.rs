//! A directory of recorded answers in the place of a server: `*.json`, one answer each, named by what they say and not by
//! their file names. It is the embedded default, needs no server, and suits people who keep answers in git.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::decode::ANSWER_LIMIT;
use super::subscriptions::Ticket;
use super::{Answer, Content, PollStats, Registry, RegistryError, ReportQueue, ServiceKey, decode_answer};
use crate::watch_dir::{DirError, DirNews, FileError, FileNews, WatchDir, WatchOptions};

/// How often what lies in the directory counts as an answer anew: a file says what it says for as long as it is there.
const ANSWERS_EVERY: Duration = Duration::from_secs(1);

/// Which directory, and how it is watched.
#[derive(Debug, Clone)]
pub struct DirectoryConfig {
    /// The directory; its subdirectories do not count.
    pub path: PathBuf,
    /// How it is watched.
    pub options: WatchOptions,
}

/// A directory of recorded answers.
#[derive(Debug)]
pub struct DirectoryRegistry {
    directory: WatchDir<Answer, RegistryError>,
    source: String,
    stats: Arc<PollStats>,
}

impl DirectoryRegistry {
    /// Reads the directory, and watches it from now on. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The directory does not exist, or cannot be read. A file that cannot be understood is no error here, but reported.
    pub fn new(config: DirectoryConfig) -> Result<Self, RegistryError> {
        let file_limit = config.options.file_limit.min(ANSWER_LIMIT as u64);
        let options = WatchOptions { file_limit, ..config.options };
        let directory = WatchDir::new(&config.path, options, is_answer, |path, content| {
            decode_answer(content, &format!("registry answer {}", path.display()))
        })?;
        Ok(Self { directory, source: config.path.display().to_string(), stats: Arc::default() })
    }
}

/// Whether a file counts, by its name. Those that begin with a dot are editors' and kubelet's own.
pub(super) fn is_answer(name: &str) -> bool {
    name.ends_with(".json") && !name.starts_with('.')
}

impl From<FileError> for RegistryError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Read { path, source } => {
                Self::File { path, problem: source.to_string(), remedy: "make it readable for this process".to_owned() }
            }
            FileError::TooLarge { path, limit } => Self::TooLarge {
                origin: format!("registry answer {}", path.display()),
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
            },
        }
    }
}

impl From<DirError> for RegistryError {
    fn from(error: DirError) -> Self {
        Self::Directory { path: error.path, problem: error.source.to_string(), remedy: error.remedy.to_owned() }
    }
}

impl Registry for DirectoryRegistry {
    fn stats(&self) -> Arc<PollStats> {
        Arc::clone(&self.stats)
    }

    async fn follow(mut self, queue: ReportQueue) {
        let mut state = State {
            files: BTreeMap::new(),
            failed: None,
            queue,
            term: 0,
            source: self.source,
            stats: self.stats,
            doubled: BTreeMap::new(),
        };
        // Before the directory was read, nothing can be said to be missing.
        state.read(self.directory.next().await);
        state.heed_changes();
        let mut again = tokio::time::interval(ANSWERS_EVERY);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = state.queue.changed() => match changed {
                    true => state.heed_changes(),
                    false => return,
                },
                news = self.directory.next() => state.read(news),
                _ = again.tick() => state.queue.all_unchanged(),
            }
        }
    }
}

/// The content of the directory, and where it is reported.
struct State {
    files: BTreeMap<PathBuf, AnswerFile>,
    failed: Option<Arc<RegistryError>>,
    queue: ReportQueue,
    /// The term that all was told in.
    term: u64,
    source: String,
    stats: Arc<PollStats>,
    /// Doubly given services that were complained of: service -> the files concerned.
    doubled: BTreeMap<ServiceKey, (PathBuf, PathBuf)>,
}

/// One file. It fails, or holds an answer, or both: then the answer is the last that it gave.
struct AnswerFile {
    answer: Option<Answer>,
    failure: Option<Arc<RegistryError>>,
}

impl State {
    /// Tells new subscriptions what the directory says; in a new term, all of them. Files cost nothing to follow, so they are
    /// followed equally often in every mode.
    fn heed_changes(&mut self) {
        let changes = self.queue.take_changes();
        if std::mem::replace(&mut self.term, changes.mode.term) != changes.mode.term {
            return self.tell_all();
        }
        let now = Instant::now();
        for (service, ticket) in changes.services {
            if let Some(ticket) = ticket {
                self.tell(&service, ticket, now);
            }
        }
    }

    fn read(&mut self, news: DirNews<Answer, RegistryError>) {
        let now = Instant::now();
        match news {
            DirNews::Files(changes) => {
                let touched = self.read_files(changes);
                self.complain_of_doubles();
                // While some file cannot be understood, any service without one may be its: so all are looked at.
                self.tell_those(|service| touched.concerns(service));
            }
            DirNews::Failed(error) => {
                let error = Arc::new(RegistryError::from(error));
                warn!(kind = error.kind(), "{error}. What it last gave stands");
                self.queue.all_failed(&error, now);
                self.stats.halted(Some(&error));
                self.failed = Some(error);
            }
            DirNews::Recovered => {
                info!("the directory of registry answers can be read again");
                self.failed = None;
                self.stats.halted(None);
                self.tell_all();
            }
        }
    }

    fn tell_all(&self) {
        self.tell_those(|_| true);
    }

    fn tell_those(&self, concerned: impl Fn(&ServiceKey) -> bool) {
        let now = Instant::now();
        for (service, ticket) in self.queue.tickets() {
            if concerned(&service) {
                self.tell(&service, ticket, now);
            }
        }
    }

    /// Reads changed files in; returns the services that may have other content now.
    fn read_files(&mut self, changes: Vec<(PathBuf, FileNews<Answer, RegistryError>)>) -> Touched {
        let mut touched = Touched::default();
        for (path, news) in changes {
            let before = self.files.remove(&path);
            let old = before.as_ref().and_then(|file| file.answer.as_ref()).map(|answer| answer.service.clone());
            // A file that gave nothing and failed obscured all services; it does so no longer, or from now on.
            touched.all |= old.is_none();
            touched.services.extend(old);
            let file = match news {
                FileNews::Parsed(answer) => {
                    touched.services.insert(answer.service.clone());
                    AnswerFile { answer: Some(answer), failure: None }
                }
                FileNews::Failed(error) => {
                    warn!(file = %path.display(), kind = error.kind(), "{error}");
                    AnswerFile { answer: before.and_then(|file| file.answer), failure: Some(Arc::new(error)) }
                }
                FileNews::Gone => continue,
            };
            self.files.insert(path, file);
        }
        touched
    }

    /// Reports what the directory says of a service now; the queue knows whether that is news.
    fn tell(&self, service: &ServiceKey, ticket: Ticket, now: Instant) {
        if let Some(error) = &self.failed {
            self.queue.failed_quietly(service, ticket, error, now);
            return;
        }
        match self.files.values().find(|file| file.gives(service)) {
            Some(AnswerFile { failure: Some(error), .. }) => {
                self.stats.failed(&self.source, error);
                self.queue.failed_quietly(service, ticket, error, now);
            }
            Some(AnswerFile { answer: Some(answer), .. }) => {
                self.stats.answered(&self.source, "listed");
                self.queue.answered(service, ticket, answer.content.clone(), now);
            }
            _ => match self.files.iter().find(|(_, file)| file.answer.is_none()) {
                Some((path, _)) => {
                    let obscured = RegistryError::Obscured { service: service.clone(), file: path.clone() };
                    self.queue.failed(service, ticket, &Arc::new(obscured), now);
                }
                None => {
                    self.stats.answered(&self.source, "missing");
                    self.queue.answered(service, ticket, Content::Missing, now);
                }
            },
        }
    }

    /// Names services that two files give, once for each pair of files.
    fn complain_of_doubles(&mut self) {
        let mut firsts: BTreeMap<&ServiceKey, &Path> = BTreeMap::new();
        let mut doubled: BTreeMap<ServiceKey, (PathBuf, PathBuf)> = BTreeMap::new();
        for (path, file) in &self.files {
            let Some(answer) = &file.answer else { continue };
            if let Some(first) = firsts.get(&answer.service) {
                doubled.entry(answer.service.clone()).or_insert_with(|| (first.to_path_buf(), path.clone()));
            } else {
                firsts.insert(&answer.service, path);
            }
        }
        for (service, (first, second)) in &doubled {
            if self.doubled.get(service).is_none_or(|known| *known != (first.clone(), second.clone())) {
                let error =
                    RegistryError::TwoFiles { service: service.clone(), first: first.clone(), second: second.clone() };
                warn!(service = %service, kind = error.kind(), "{error}");
            }
        }
        self.doubled = doubled;
    }
}

impl AnswerFile {
    fn gives(&self, service: &ServiceKey) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.service == *service)
    }
}

/// The services that may have other content now.
#[derive(Default)]
struct Touched {
    all: bool,
    services: BTreeSet<ServiceKey>,
}

impl Touched {
    fn concerns(&self, service: &ServiceKey) -> bool {
        self.all || self.services.contains(service)
    }
}
