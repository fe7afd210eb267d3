//! What the console's list of instances tells: it is sorted by the last change, newest first, so its first page shows what is new.
//!
//! Times there are of whole seconds, so a change is known by an instance's id and revision. Instances that were deleted are not
//! in the list; the number of all instances tells of them, but not which.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use crate::registry::ServiceKey;

/// A page of the list. An instance's `service_token` is never read.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Page {
    pub(super) code: u32,
    #[serde(default)]
    pub(super) info: Option<String>,
    /// The number of all instances.
    #[serde(default)]
    amount: Option<u32>,
    #[serde(default)]
    instances: Option<Vec<Listed>>,
}

/// An instance, as far as it tells of changes.
#[derive(Debug, Clone, Deserialize)]
struct Listed {
    id: String,
    service: String,
    #[serde(default)]
    namespace: Option<String>,
    revision: String,
    ctime: String,
    mtime: String,
}

/// What a round of pages told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::registry::polaris) struct News {
    /// Services with instances that are new or were changed.
    pub(in crate::registry::polaris) services: BTreeSet<ServiceKey>,
    /// Whether more has changed than the pages show: instances were deleted, or there is more news than pages were read.
    pub(in crate::registry::polaris) more: bool,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// Instance -> revision and time, of the newest ones.
    seen: HashMap<String, (String, String)>,
    /// The newest time of a change.
    newest: String,
    amount: Option<u32>,
}

impl Page {
    fn listed(&self) -> &[Listed] {
        self.instances.as_deref().unwrap_or_default()
    }
}

impl Feed {
    /// Whether a page shows something new and does not reach below what was seen: then the next one may show more.
    pub(super) fn goes_on(&self, page: &Page, limit: usize) -> bool {
        let listed = page.listed();
        let below = listed.last().is_none_or(|last| last.mtime < self.newest);
        listed.len() >= limit && !below && listed.iter().any(|one| self.is_new(one))
    }

    fn is_new(&self, one: &Listed) -> bool {
        self.seen.get(&one.id).is_none_or(|(revision, _)| *revision != one.revision)
    }

    /// Takes the pages of a round; `cut` says that there are more of them.
    pub(super) fn take(&mut self, pages: &[Page], cut: bool) -> News {
        let first = self.amount.is_none();
        let new: Vec<_> = pages.iter().flat_map(Page::listed).filter(|one| self.is_new(one)).cloned().collect();
        let (mut counted, mut created) = (BTreeSet::new(), 0);
        for one in &new {
            let fresh = one.ctime == one.mtime && !self.seen.contains_key(&one.id) && counted.insert(&one.id);
            created += u32::from(fresh);
        }
        let amount = pages.last().and_then(|page| page.amount);
        let explained = amount.is_some() && amount == self.amount.map(|before| before.saturating_add(created));
        self.remember(pages);
        self.amount = amount.or(self.amount);
        if first {
            // All services are asked for at the beginning anyway.
            return News { services: BTreeSet::new(), more: true };
        }
        let services = new.into_iter().map(|one| ServiceKey::new(one.namespace.unwrap_or_default(), one.service));
        News { services: services.collect(), more: cut || !explained }
    }

    fn remember(&mut self, pages: &[Page]) {
        let listed = || pages.iter().flat_map(Page::listed);
        if let Some(newest) = listed().map(|one| &one.mtime).max() {
            self.newest.clone_from(newest);
        }
        // Of many that changed in one second, any may come on the first page. One that was changed before all that are there is
        // new again when it comes back.
        let oldest = listed().map(|one| &one.mtime).min().cloned().unwrap_or_default();
        self.seen.retain(|_, (_, mtime)| *mtime >= oldest);
        self.seen.extend(listed().map(|one| (one.id.clone(), (one.revision.clone(), one.mtime.clone()))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of instances, each `id service revision mtime`, the older ones made at 00.
    fn page(amount: u32, instances: &[&str]) -> Page {
        let listed = |text: &&str| {
            let [id, service, revision, mtime] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
            let ctime = if revision == "1" { mtime } else { "00" };
            serde_json::json!({"id": id, "service": service, "namespace": "shop", "revision": revision, "ctime": ctime,
                "mtime": mtime, "service_token": "s3cret"})
        };
        let instances: Vec<_> = instances.iter().map(listed).collect();
        let page = serde_json::json!({"code": 200_000, "info": "words", "amount": amount, "instances": instances});
        let page: Page = serde_json::from_value(page).unwrap();
        assert!(!format!("{page:?}").contains("s3cret"));
        page
    }

    #[track_caller]
    fn check(feed: &mut Feed, page: Page, expected: &[&str], more: bool) {
        let news = feed.take(&[page], false);
        let services: Vec<_> = news.services.iter().map(|service| &*service.name).collect();
        assert_eq!((&*services, news.more), (expected, more));
    }

    #[test]
    fn news_are_known_by_id_and_revision() {
        let mut feed = Feed::default();
        check(&mut feed, page(2, &["b y 1 05", "a x 1 04"]), &[], true);
        check(&mut feed, page(2, &["b y 1 05", "a x 1 04"]), &[], false);
        check(&mut feed, page(2, &["a x 2 05", "b y 1 05"]), &["x"], false);
        check(&mut feed, page(3, &["c z 1 05", "a x 2 05", "b y 1 05"]), &["z"], false);
        // Two changes of one instance in one second, and of two instances.
        check(&mut feed, page(3, &["c z 2 05", "a x 3 05", "b y 1 05"]), &["x", "z"], false);
        check(&mut feed, page(3, &["c z 3 05", "a x 3 05", "b y 1 05"]), &["z"], false);
    }

    #[test]
    fn deletions_are_known_by_the_amount() {
        let mut feed = Feed::default();
        check(&mut feed, page(3, &["c z 1 05", "b y 1 05", "a x 1 04"]), &[], true);
        check(&mut feed, page(2, &["c z 1 05", "b y 1 05"]), &[], true);
        check(&mut feed, page(2, &["c z 1 05", "b y 1 05"]), &[], false);
        // One goes and one comes.
        check(&mut feed, page(2, &["d w 1 06", "b y 1 05"]), &["w"], true);
    }

    #[test]
    fn it_reads_on_only_for_news_that_may_go_on() {
        let mut feed = Feed::default();
        let _ = feed.take(&[page(9, &["b y 1 05", "a x 1 05"])], false);
        assert!(!feed.goes_on(&page(9, &["b y 1 05", "a x 1 05"]), 2), "nothing is new");
        assert!(feed.goes_on(&page(9, &["d y 1 06", "c x 1 05"]), 2));
        assert!(!feed.goes_on(&page(9, &["d y 1 06", "c x 1 04"]), 2), "it reaches below");
        assert!(!feed.goes_on(&page(9, &["d y 1 06"]), 2), "it is the last page");
        assert!(feed.take(&[page(9, &["d y 1 06"])], true).more);
    }

    /// The order of changes of one second is by chance.
    #[test]
    fn many_changes_of_one_second_are_news_once() {
        let mut feed = Feed::default();
        let _ = feed.take(&[page(4, &["a x 1 05", "b x 1 05", "c x 1 05", "d x 1 05"])], false);
        for two in [["a x 1 05", "b x 1 05"], ["c x 1 05", "d x 1 05"], ["a x 1 05", "c x 1 05"]] {
            check(&mut feed, page(4, &two), &[], false);
        }
    }
}
