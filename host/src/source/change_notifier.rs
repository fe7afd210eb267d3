//! Decides what of a source's state is news: a content once, a trouble once, its end once.

use tokio::sync::mpsc;

use super::{ModuleBytes, SourceError, SourceNews};
use crate::digest::Digest;
use crate::log_once::LogOnce;

/// A source with more kinds of trouble than this at once is not described any better by more of them.
const TROUBLES: usize = 32;

/// Tells a [`Follower`](super::Follower) its news.
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

    /// The source has this now.
    pub(super) async fn has(&mut self, candidate: ModuleBytes) {
        self.is_well().await;
        if self.digest != Some(candidate.digest) {
            self.digest = Some(candidate.digest);
            self.tell(SourceNews::Module(candidate)).await;
        }
    }

    /// The source has what it had.
    pub(super) async fn is_well(&mut self) {
        if self.troubles.clear() {
            self.tell(SourceNews::Recovered).await;
        }
    }

    /// The source has a trouble.
    pub(super) async fn fails(&mut self, error: SourceError) {
        if self.troubles.len() < TROUBLES && self.troubles.is_news(error.to_string(), ()) {
            self.tell(SourceNews::Failed(error)).await;
        }
    }

    async fn tell(&self, news: SourceNews) {
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
        let mut teller = ChangeNotifier::new(sender);
        let [a, b] = [b"a", b"b"].map(|bytes| ModuleBytes::new(bytes.to_vec(), "x".into()));
        teller.fails(error("down")).await;
        teller.fails(error("slow")).await;
        teller.fails(error("down")).await;
        teller.has(a.clone()).await;
        teller.has(a.clone()).await;
        teller.is_well().await;
        teller.fails(error("down")).await;
        teller.is_well().await;
        teller.has(a.clone()).await;
        teller.has(b.clone()).await;
        drop(teller);
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
        let mut teller = ChangeNotifier::new(sender);
        for number in 0..2 * TROUBLES {
            teller.fails(error(&number.to_string())).await;
        }
        drop(teller);
        let mut told = 0;
        while receiver.recv().await.is_some() {
            told += 1;
        }
        assert_eq!(told, TROUBLES);
    }
}
