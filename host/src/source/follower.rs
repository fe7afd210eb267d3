//! A source that is followed: a task of its own, and the news that it sends.

use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::change_notifier::ChangeNotifier;
use super::files::Place;
use super::source_news::SourceNews;
use super::{ModuleBytes, Settings, Source, oci};

/// A followed source. Following ends when this is dropped.
#[derive(Debug)]
pub struct Follower {
    news: mpsc::Receiver<SourceNews>,
    task: AbortHandle,
}

/// Follows a source. The first news come as soon as they can be had, others whenever something changes.
///
/// Must be called within a tokio runtime.
pub fn follow(source: Source, settings: Settings) -> Follower {
    Follower::spawn(|sender| {
        let mut notifier = ChangeNotifier::new(sender);
        Box::pin(async move {
            match source {
                Source::Embedded => notifier.note_content(ModuleBytes::embedded()).await,
                Source::File(path) => Place::File(path).follow(&settings, notifier).await,
                Source::Directory(path) => Place::Directory(path).follow(&settings, notifier).await,
                Source::Oci(reference) => oci::follow(&reference, &settings, notifier).await,
            }
        })
    })
}

impl Follower {
    /// Follows by the news that `tell` sends.
    pub fn spawn(tell: impl FnOnce(mpsc::Sender<SourceNews>) -> BoxFuture<'static, ()>) -> Self {
        // News wait for a receiver that is busy with a module, so that the next one is not fetched in vain.
        let (sender, news) = mpsc::channel(1);
        Self { news, task: tokio::spawn(tell(sender)).abort_handle() }
    }

    /// Waits for the next news; for ever, if nothing can change any more (the embedded module, a pinned digest). Nothing is
    /// lost when the future is dropped, so it fits a `select!`.
    pub async fn next(&mut self) -> SourceNews {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}
