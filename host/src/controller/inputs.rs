//! The inputs of both sides: entries and reports come in, and the entries that they concern are queued.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedSender;
use kube::runtime::reflector::{ObjectRef, store::Writer};
use kube::runtime::watcher::Event;

use super::context::Context;
use super::diagnostics;
use super::index::{Index, Left};
use crate::binding::binding;
use crate::entries::EntryEvents;
use crate::istio::ServiceEntry;
use crate::registry::Report;
use crate::writes::Reopened;

/// The two streams and what they feed.
pub(super) struct Inputs {
    pub(super) events: EntryEvents,
    pub(super) writer: Writer<ServiceEntry>,
    pub(super) queue: UnboundedSender<ObjectRef<ServiceEntry>>,
    pub(super) context: Arc<Context>,
    pub(super) reopened: Reopened,
    pub(super) index: Index,
}

impl Inputs {
    /// Runs until the future is dropped.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                Some(event) = self.events.next() => self.event(&event),
                report = self.context.services.next_report() => self.report(&report),
                // What was not written meanwhile is written now.
                () = self.reopened.next() => self.all(),
                // Something was released, or holds that would end by time end no more.
                () = self.context.holds.requeued() => self.holding(),
            }
        }
    }

    fn event(&mut self, event: &Event<ServiceEntry>) {
        self.writer.apply_watcher_event(event);
        match event {
            Event::Init | Event::InitApply(_) => {}
            Event::Apply(entry) => {
                let key = self.key(entry);
                self.bind(&key, entry);
                self.count_services();
                self.enqueue(key);
            }
            Event::Delete(entry) => {
                let key = self.key(entry);
                self.forget(&key);
                self.count_services();
                self.context.notify_progress();
            }
            Event::InitDone => self.listed(),
        }
    }

    /// A whole list: what is not in it is gone, whether or not that was told.
    fn listed(&mut self) {
        let entries = self.writer.as_reader().state();
        let keys: Vec<_> = entries.iter().map(|entry| self.key(entry)).collect();
        let present: HashSet<_> = keys.iter().collect();
        let gone: Vec<_> = self.index.entries().filter(|key| !present.contains(key)).cloned().collect();
        for key in gone {
            self.forget(&key);
        }
        for (entry, key) in entries.iter().zip(&keys) {
            self.bind(key, entry);
        }
        self.count_services();
        keys.into_iter().for_each(|key| self.enqueue(key));
        self.context.note_complete();
    }

    fn report(&self, report: &Report) {
        // A failure after an answer changes nothing, the last endpoints stay; it is kept for those who ask.
        if report.answered || report.state.last.is_none() {
            self.index.entries_of(&report.service).cloned().for_each(|key| self.enqueue(key));
        }
    }

    fn bind(&mut self, key: &ObjectRef<ServiceEntry>, entry: &ServiceEntry) {
        let service = binding(entry);
        let is_bound = service.is_some();
        let left = self.index.bind(key, service);
        self.unfollow(left);
        if !is_bound {
            self.context.holds.fleet().forget(&title(key));
        }
    }

    fn forget(&mut self, key: &ObjectRef<ServiceEntry>) {
        let left = self.index.forget(key);
        self.unfollow(left);
        self.context.forget(key);
        self.context.holds.forget(&title(key));
        let news = self.context.holds.alarm_news();
        diagnostics::log_alarm(&news);
        diagnostics::note_alarm(&self.context.observers.history, &news);
    }

    fn unfollow(&self, left: Option<Left>) {
        if let Some(Left::Unfollowed(service)) = left {
            self.context.holds.fleet().unfollow(&service.to_string());
        }
    }

    fn holding(&self) {
        let holding: HashSet<_> = self.context.holds.list().into_iter().map(|(entry, _)| entry).collect();
        self.index.entries().filter(|key| holding.contains(&title(key))).cloned().for_each(|key| self.enqueue(key));
    }

    fn all(&self) {
        self.index.entries().cloned().for_each(|key| self.enqueue(key));
    }

    fn count_services(&self) {
        let (services, entries) = self.index.count();
        self.context.holds.fleet().follow(services, entries);
    }

    fn enqueue(&self, key: ObjectRef<ServiceEntry>) {
        // It fails only when the controller is stopping.
        let _ = self.queue.unbounded_send(key);
    }

    fn key(&self, entry: &ServiceEntry) -> ObjectRef<ServiceEntry> {
        ObjectRef::from_obj_with(entry, self.context.resource.clone())
    }
}

/// `namespace/name`, as messages have it.
pub(super) fn title(key: &ObjectRef<ServiceEntry>) -> String {
    crate::title::title(key.namespace.as_deref().unwrap_or_default(), &key.name)
}
