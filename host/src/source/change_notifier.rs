//! Tells each change of a source once: a new content, a trouble, and the end of a trouble.

use tokio::sync::mpsc;

use super::source_news::SourceNews;
use super::{ModuleBytes, SourceError};
use crate::digest::Digest;
use crate::log_once::LogOnce;

/// The most kinds of trouble told at once: more of them describe a source no better.
const TROUBLES: usize = 32;

/// Sends a follower its news.
pub(super) struct ChangeNotifier {
    news: mpsc::Sender<SourceNews>,
    digest: Option<Digest>,
    /// By the text: each is told once until all is well.
    troubles: LogOnce<String>,
}

impl ChangeNotifier {
    pub(super) fn new(news: mpsc::Sender<SourceNews>) -> Self {
        Self { news, digest: None, troubles: LogOnce::default() }
    }

    /// Notes that the source has this content now.
    pub(super) async fn note_content(&mut self, module: ModuleBytes) {
        self.note_recovery().await;
        if self.digest != Some(module.digest) {
            self.digest = Some(module.digest);
            self.send(SourceNews::Module(module)).await;
        }
    }

    /// Notes that the source has the content that it had.
    pub(super) async fn note_recovery(&mut self) {
        if self.troubles.clear() {
            self.send(SourceNews::Recovered).await;
        }
    }

    /// Notes a trouble of the source.
    pub(super) async fn note_failure(&mut self, error: SourceError) {
        if self.troubles.len() < TROUBLES && self.troubles.is_news(error.to_string(), ()) {
            self.send(SourceNews::Failed(error)).await;
        }
    }

    async fn send(&self, news: SourceNews) {
        // Without a receiver the follower is gone, and this task is about to be.
        let _ = self.news.send(news).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(problem: &str) -> SourceError {
        SourceError::Client { origin: "x".into(), problem: problem.into() }
    }

    #[tokio::test]
    async fn each_thing_is_told_once() {
        let (sender, mut receiver) = mpsc::channel(100);
        let mut notifier = ChangeNotifier::new(sender);
        let [a, b] = [b"a", b"b"].map(|bytes| ModuleBytes::new(bytes.to_vec(), "x".into()));
        notifier.note_failure(error("down")).await;
        notifier.note_failure(error("slow")).await;
        notifier.note_failure(error("down")).await;
        notifier.note_content(a.clone()).await;
        notifier.note_content(a.clone()).await;
        notifier.note_recovery().await;
        notifier.note_failure(error("down")).await;
        notifier.note_recovery().await;
        notifier.note_content(a.clone()).await;
        notifier.note_content(b.clone()).await;
        drop(notifier);
        let mut told = Vec::new();
        while let Some(news) = receiver.recv().await {
            told.push(news);
        }
        let wanted = [
            SourceNews::Failed(error("down")),
            SourceNews::Failed(error("slow")),
            SourceNews::Recovered,
            SourceNews::Module(a),
            SourceNews::Failed(error("down")),
            SourceNews::Recovered,
            SourceNews::Module(b),
        ];
        assert_eq!(told, wanted);
    }

    #[tokio::test]
    async fn troubles_without_end_are_not_told_without_end() {
        let (sender, mut receiver) = mpsc::channel(2 * TROUBLES);
        let mut notifier = ChangeNotifier::new(sender);
        for number in 0..2 * TROUBLES {
            notifier.note_failure(error(&number.to_string())).await;
        }
        drop(notifier);
        let mut told = 0;
        while receiver.recv().await.is_some() {
            told += 1;
        }
        assert_eq!(told, TROUBLES);
    }
}
