//! Services to which the same happened lately.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Services by when it happened last; each counts once, and for a while.
#[derive(Debug, Default)]
pub(super) struct Recent {
    at: HashMap<String, Instant>,
    /// By time, with some that were removed or are newer.
    order: VecDeque<(Instant, String)>,
}

impl Recent {
    /// Notes one, and forgets those of before the window. Returns how many there are.
    pub(super) fn note(&mut self, service: &str, now: Instant, window: Duration) -> usize {
        while let Some((at, service)) = self.order.front().filter(|(at, _)| now.saturating_duration_since(*at) > window)
        {
            if self.at.get(service).is_some_and(|last| last == at) {
                self.at.remove(service);
            }
            self.order.pop_front();
        }
        self.at.insert(service.to_owned(), now);
        self.order.push_back((now, service.to_owned()));
        self.at.len()
    }

    pub(super) fn remove(&mut self, service: &str) {
        self.at.remove(service);
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &String> {
        self.at.keys()
    }
}
