//! A source that is followed: a task of its own, and the news that it sends.

use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::change_notifier::ChangeNotifier;
use super::files::Place;
use super::source_news::SourceNews;
use super::{ModuleBytes, Settings, Source, oci};

/// A followed source. Following ends when this is dropped.
#[derive(Debug)]
pub struct Follower {
    news: mpsc::Receiver<SourceNews>,
    /// `None` once it has ended: a source that cannot change has no more to tell.
    task: Option<JoinHandle<()>>,
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
        Self { news, task: Some(tokio::spawn(tell(sender))) }
    }

    /// Waits for the next news; for ever, if nothing can change any more (the embedded module, a pinned digest). Nothing is
    /// lost when the future is dropped, so it fits a `select!`. A panic of the task goes on here, where it is noticed.
    pub async fn next(&mut self) -> SourceNews {
        if let Some(news) = self.news.recv().await {
            return news;
        }
        if let Some(task) = &mut self.task {
            let ended = task.await;
            self.task = None;
            if let Some(panic) = ended.err().and_then(|error| error.try_into_panic().ok()) {
                std::panic::resume_unwind(panic);
            }
        }
        std::future::pending().await
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_task_is_the_readers() {
        let mut follower = Follower::spawn(|_| Box::pin(async { panic!("no such tag") }));
        let reader = tokio::spawn(async move {
            follower.next().await;
        });
        assert!(reader.await.unwrap_err().is_panic());
    }
}
