//! Lets a line be logged once, and again only when it says something else.

use std::collections::HashMap;
use std::hash::Hash;

use crate::hash::hash;

/// The last text of each subject, as a hash: texts may be long, and only whether one changed counts.
#[derive(Debug)]
pub(crate) struct LogOnce<K = &'static str> {
    last: HashMap<K, u64>,
}

impl<K> Default for LogOnce<K> {
    fn default() -> Self {
        Self { last: HashMap::new() }
    }
}

impl<K: Eq + Hash> LogOnce<K> {
    /// Whether this is to be logged: not if it was the last on this subject.
    pub(crate) fn is_news(&mut self, subject: K, text: impl Hash) -> bool {
        let text = hash(text);
        self.last.insert(subject, text) != Some(text)
    }

    /// Ends a subject. Returns whether something was logged on it.
    pub(crate) fn end(&mut self, subject: &K) -> bool {
        self.last.remove(subject).is_some()
    }

    /// Ends all subjects. Returns whether something was logged on any.
    pub(crate) fn clear(&mut self) -> bool {
        let any = !self.last.is_empty();
        self.last.clear();
        any
    }

    /// Ends the subjects that are not among these.
    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&K) -> bool) {
        self.last.retain(|subject, _| stays(subject));
    }

    /// How many subjects something was logged on.
    pub(crate) fn len(&self) -> usize {
        self.last.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_news_once() {
        let mut log = LogOnce::default();
        assert!(log.is_news("a", "x") && !log.is_news("a", "x") && log.is_news("b", "x"));
        assert!(log.is_news("a", "y") && log.is_news("a", "x"), "another text");
        assert!(log.end(&"a") && !log.end(&"a") && log.is_news("a", "x"), "after its end");
        log.retain(|subject| *subject != "a");
        assert_eq!(log.len(), 1);
        assert!(log.is_news("a", "x") && !log.is_news("b", "x"));
        assert!(log.clear() && !log.clear() && log.is_news("b", "x"));
    }
}
