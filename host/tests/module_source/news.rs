//! The news of a follower, awaited and checked.

use std::time::Duration;

use polaris2istio::source::{Follower, ModuleBytes, SourceNews};
use tokio::time::timeout;

/// Far more than any news takes.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The next news.
pub(crate) async fn next(follower: &mut Follower) -> SourceNews {
    timeout(SOON, follower.next()).await.expect("news come")
}

/// News of a failure.
#[track_caller]
pub(crate) fn failed(news: SourceNews, words: &str) {
    match news {
        SourceNews::Failed(error) if error.to_string().contains(words) => {}
        other => panic!("expected a failure that says `{words}`, not {other:?}"),
    }
}

/// News of a module.
#[track_caller]
pub(crate) fn has(news: SourceNews, bytes: &[u8]) -> ModuleBytes {
    match news {
        SourceNews::Module(candidate) if candidate.bytes == bytes => candidate,
        other => panic!("expected {}, not {other:?}", bytes.escape_ascii()),
    }
}
