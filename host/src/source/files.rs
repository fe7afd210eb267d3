//! A module in a file, or in a directory such as a mounted ConfigMap.
//!
//! In both cases a directory is watched: kubelet and careful writers replace files by renaming, which a watch of the file
//! itself would not survive. The watch only says when to read and reads no file itself: a module is read once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::change_notifier::ChangeNotifier;
use super::settled::{self, file, unreadable};
use super::{ModuleBytes, Settings, SourceError, blocking};
use crate::watch_dir::{FileError, WatchDir, WatchOptions};

/// A trouble that lasts a shorter time than this is an operator at work: deleting and writing anew, for one.
const GRACE: Duration = Duration::from_millis(500);

/// The wait before the next reading while something is wrong, or if there is no directory to watch.
const AGAIN: Duration = Duration::from_millis(250);

type Watch = WatchDir<(), FileError>;

/// The place of a module on disk.
#[derive(Clone, Debug)]
pub(super) enum Place {
    File(PathBuf),
    /// In the one `*.wasm` of this directory.
    Directory(PathBuf),
}

impl Place {
    /// Reads the module that is there now.
    pub(super) async fn read(&self, settings: &Settings) -> Result<ModuleBytes, SourceError> {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Directory(path) => {
                let directory = path.clone();
                blocking(&path.display().to_string(), move || only_module(&directory)).await??
            }
        };
        if settings.module_key.is_some() {
            return Err(SourceError::UnsignedFile { origin: path.display().to_string() });
        }
        let bytes = settled::read(&path, settings).await?;
        if bytes.is_empty() {
            return Err(file(&path, "it is empty".into(), "put the .wasm file that a build wrote there"));
        }
        Ok(ModuleBytes::new(bytes, format!("file:{}", path.display())))
    }

    /// Tells the module that is there, and every change of it.
    pub(super) async fn follow(&self, settings: &Settings, mut notifier: ChangeNotifier) {
        let mut watch = None;
        let mut wrong_since: Option<Instant> = None;
        let mut first = true;
        loop {
            if watch.is_none() {
                // The reason why it cannot be watched shows when it is read.
                watch = self.watch();
                if let Some(watch) = &mut watch {
                    // The state at the start, which is read now.
                    watch.next().await;
                }
            }
            match self.read(settings).await {
                Ok(module) => {
                    wrong_since = None;
                    notifier.note_content(module).await;
                }
                Err(error) => {
                    let since = *wrong_since.get_or_insert_with(Instant::now);
                    if first || since.elapsed() >= GRACE {
                        notifier.note_failure(error).await;
                    }
                }
            }
            first = false;
            match &mut watch {
                Some(watch) if wrong_since.is_none() => drop(watch.next().await),
                Some(watch) => tokio::select! {
                    _ = watch.next() => {}
                    () = sleep(AGAIN) => {}
                },
                None => sleep(AGAIN).await,
            }
        }
    }

    fn watch(&self) -> Option<Watch> {
        let options = WatchOptions { contents: false, vanish_grace: GRACE, ..WatchOptions::default() };
        match self {
            Self::Directory(path) => WatchDir::new(path, options, is_module, |_, _| Ok(())).ok(),
            Self::File(path) => {
                let path = std::path::absolute(path).ok()?;
                let name = path.file_name()?.to_str()?.to_owned();
                WatchDir::new(path.parent()?, options, move |file| file == name, |_, _| Ok(())).ok()
            }
        }
    }
}

fn is_module(name: &str) -> bool {
    // Kubelet's own entries start with two dots, an editor's often with one.
    name.ends_with(".wasm") && !name.starts_with('.')
}

fn only_module(directory: &Path) -> Result<PathBuf, SourceError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotADirectory => {
            file(directory, "it is not a directory".into(), "name the directory, or the file as file:PATH")
        }
        _ => unreadable(directory, &error),
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.to_str().filter(|name| is_module(name)).map(str::to_owned));
    }
    names.sort();
    match names.as_slice() {
        [] => Err(SourceError::NoModule { path: directory.into() }),
        [name] => Ok(directory.join(name)),
        _ => Err(SourceError::SeveralModules { path: directory.into(), names }),
    }
}
