//! Objects that are left alone for a while: just written, so that the watch has yet to show it, or not to be written at all.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Objects that rest, each until a time.
#[derive(Debug)]
pub struct Resting<K>(BTreeMap<K, Instant>);

impl<K> Default for Resting<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Resting<K> {
    pub fn begin(&mut self, object: K, time: Duration) {
        self.0.insert(object, Instant::now() + time);
    }

    pub fn end(&mut self, object: &K) {
        self.0.remove(object);
    }

    /// Forgets those whose time is over.
    pub fn forget_rested(&mut self) {
        let now = Instant::now();
        self.0.retain(|_, until| *until > now);
    }

    pub fn contains(&self, object: &K) -> bool {
        self.0.contains_key(object)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
