//! Writes that were not taken, each tried again after a while: what is denied now may be taken later.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::plan::Denied;

/// The wait between two tries at what is not taken.
pub const DENIED_RETRY: Duration = Duration::from_secs(30);
/// A refusal that is not tried any more is forgotten after this.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// Entries that are not taken: the words, and when each is tried again.
#[derive(Debug, Default)]
pub struct Denials(BTreeMap<String, (String, Instant)>);

impl Denials {
    pub fn add(&mut self, entry: &str, words: String) {
        self.0.insert(entry.to_owned(), (words, Instant::now() + DENIED_RETRY));
    }

    pub fn end(&mut self, entry: &str) {
        self.0.remove(entry);
    }

    /// Tries all of them again: something changed.
    pub fn retry(&mut self) {
        self.0.values_mut().for_each(|(_, until)| *until = Instant::now());
    }

    /// Forgets what is no longer wanted: what is, was tried again since.
    pub fn forget(&mut self) {
        let now = Instant::now();
        self.0.retain(|_, (_, until)| *until + FORGOTTEN > now);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, as a plan wants them.
    pub fn all(&self) -> BTreeMap<String, Denied> {
        let now = Instant::now();
        let denied = |(words, until): &(String, Instant)| Denied { words: words.clone(), again: *until <= now };
        self.0.iter().map(|(entry, denial)| (entry.clone(), denied(denial))).collect()
    }
}
