//! All subscriptions, each with the state of its service: the rules on what counts, and on when it is news at all.
//!
//! The state of a service lives and dies with the subscription, so neither side can keep it longer than the other. The
//! follower answers by [`Ticket`]: an answer to what was asked under an earlier subscription, or in an earlier term, fits none
//! of today. A report that the reader has not read yet is replaced by the newer one, service by service, so a slow reader
//! costs neither memory nor a stalled follower.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use polaris2istio_core::model::Service;
use tokio::time::Instant;
use tracing::{debug, info};

use super::service_state::{LastAnswer, Trouble};
use super::shares::has_room;
use super::size::{KEPT_LIMIT, size};
use super::{Content, PollMode, RegistryError, Report, ServiceKey, ServiceState};

/// The subscription and the term under which a service is asked for. An answer counts while both are the present ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    subscription: u64,
    term: u64,
}

impl Ticket {
    /// The same subscription in another term.
    pub(super) fn in_term(self, term: u64) -> Self {
        Self { term, ..self }
    }
}

/// The changes since the follower last looked.
#[derive(Debug)]
pub(super) struct Changes {
    /// How the registry is to be followed now.
    pub(super) mode: PollMode,
    /// Services that were subscribed to, anew or for the first time, with the ticket to ask by; `None` if nobody
    /// subscribes to it any more. Sorted by name.
    pub(super) services: Vec<(Arc<ServiceKey>, Option<Ticket>)>,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    subscribed: BTreeMap<Arc<ServiceKey>, Subscribed>,
    /// How many subscriptions there were so far; the last one has this number.
    numbered: u64,
    mode: PollMode,
    /// Services with something to report, each once.
    waiting: VecDeque<Arc<ServiceKey>>,
    /// Services whose subscription changed since the follower last looked. Whatever changed in between, the follower
    /// compares numbers, so that what is coalesced is not lost.
    changed: BTreeSet<Arc<ServiceKey>>,
    /// Kind of trouble -> how many services have it now.
    troubled: HashMap<&'static str, usize>,
    /// The memory that all contents take.
    kept: usize,
}

/// One subscription.
#[derive(Debug)]
struct Subscribed {
    number: u64,
    state: ServiceState,
    /// The memory that the content takes.
    size: usize,
    /// The kinds of trouble reported since the last sound answer.
    troubles: Vec<&'static str>,
    /// An answer waits to be reported.
    pending_answer: bool,
    /// A failure waits to be reported.
    pending_trouble: bool,
}

impl Subscribed {
    fn is_pending(&self) -> bool {
        self.pending_answer || self.pending_trouble
    }
}

/// Whether a failure is news.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// It was known already, or does not count.
    Known,
    /// It is reported; so many services fail in this way now.
    New(usize),
}

impl Subscriptions {
    /// Subscribes to a service; nothing was heard of it yet, even if there was a subscription before. Returns the number.
    pub(super) fn subscribe(&mut self, service: &ServiceKey) -> u64 {
        let key = self.remove(service).unwrap_or_else(|| Arc::new(service.clone()));
        self.numbered += 1;
        let subscribed = Subscribed {
            number: self.numbered,
            state: ServiceState::default(),
            size: 0,
            troubles: Vec::new(),
            pending_answer: false,
            pending_trouble: false,
        };
        self.subscribed.insert(Arc::clone(&key), subscribed);
        self.changed.insert(key);
        self.numbered
    }

    /// Ends the subscription of that number, with all that was heard; a later one to the same service stays.
    pub(super) fn unsubscribe(&mut self, service: &ServiceKey, number: u64) {
        if self.subscribed.get(service).is_some_and(|one| one.number == number)
            && let Some(key) = self.remove(service)
        {
            self.changed.insert(key);
        }
    }

    fn remove(&mut self, service: &ServiceKey) -> Option<Arc<ServiceKey>> {
        let (key, mut one) = self.subscribed.remove_entry(service)?;
        end_troubles(&mut one, &mut self.troubled);
        self.kept -= one.size;
        if one.is_pending() {
            self.waiting.retain(|waiting| **waiting != *service);
        }
        Some(key)
    }

    /// How the registry is to be followed.
    pub(super) fn mode(&self) -> PollMode {
        self.mode
    }

    /// Changes that. In another term, the next answer of each service is reported in any case.
    pub(super) fn change_mode(&mut self, change: impl FnOnce(&mut PollMode)) {
        change(&mut self.mode);
    }

    /// The changes since the last call.
    pub(super) fn take_changes(&mut self) -> Changes {
        let services = std::mem::take(&mut self.changed);
        let services = services.into_iter().map(|service| {
            let ticket = self.subscribed.get(&service).map(|one| self.ticket(one));
            (service, ticket)
        });
        Changes { mode: self.mode, services: services.collect() }
    }

    fn ticket(&self, one: &Subscribed) -> Ticket {
        Ticket { subscription: one.number, term: self.mode.term }
    }

    /// How many services are subscribed to.
    pub(super) fn len(&self) -> usize {
        self.subscribed.len()
    }

    /// All services that are subscribed to, with the ticket to ask by.
    pub(super) fn tickets(&self) -> Vec<(Arc<ServiceKey>, Ticket)> {
        self.subscribed.iter().map(|(service, one)| (Arc::clone(service), self.ticket(one))).collect()
    }

    /// The state of a service; `None` if nobody subscribes to it.
    pub(super) fn state(&self, service: &ServiceKey) -> Option<&ServiceState> {
        Some(&self.subscribed.get(service)?.state)
    }

    /// A sound answer came. Returns whether its content differs from the last one's; `None` if the ticket does not count
    /// any more, and so nothing was kept.
    pub(super) fn answered(
        &mut self,
        service: &ServiceKey,
        ticket: Ticket,
        content: Content,
        at: Instant,
    ) -> Option<bool> {
        let Self { kept, .. } = self;
        let one = present(&mut self.subscribed, self.mode, service, ticket)?;
        let last = one.state.last.as_ref();
        let changed = !last.is_some_and(|last| last.content.agrees(&content));
        if changed {
            let size = match &content {
                Content::Listed(service) => size(service),
                Content::Missing => 0,
            };
            *kept = *kept - std::mem::replace(&mut one.size, size) + size;
            let (count, term) = last.map_or((0, ticket.term), |last| (last.count, last.term));
            one.state.last = Some(LastAnswer { content, received: at, count, term });
        }
        self.confirm(service, ticket, at, changed);
        Some(changed)
    }

    /// The registry said that the last answer stands. Returns whether there is one; a ticket that does not count any more
    /// is passed over.
    pub(super) fn unchanged(&mut self, service: &ServiceKey, ticket: Ticket, at: Instant) -> bool {
        match present(&mut self.subscribed, self.mode, service, ticket) {
            Some(one) if one.state.last.is_none() => false,
            Some(_) => {
                self.confirm(service, ticket, at, false);
                true
            }
            None => true,
        }
    }

    /// Counts the last answer once more, and reports it if it is news: its content, that trouble is over, or that it was
    /// given in this term, too.
    fn confirm(&mut self, service: &ServiceKey, ticket: Ticket, at: Instant, changed: bool) {
        let Some(one) = self.subscribed.get_mut(service) else { return };
        let recovered = end_troubles(one, &mut self.troubled);
        if recovered {
            debug!(%service, "answered again");
        }
        let Some(last) = one.state.last.as_mut() else { return };
        last.count += 1;
        if std::mem::replace(&mut last.term, ticket.term) != ticket.term || changed || recovered {
            last.received = at;
            let idle = !one.is_pending();
            (one.pending_answer, one.pending_trouble) = (true, false);
            if idle {
                self.enqueue(service);
            }
        }
    }

    fn enqueue(&mut self, service: &ServiceKey) {
        if let Some((key, _)) = self.subscribed.get_key_value(service) {
            self.waiting.push_back(Arc::clone(key));
        }
    }

    /// The registry as a whole still says what it said in this term, but for the services that fail.
    pub(super) fn all_unchanged(&mut self) {
        let term = self.mode.term;
        let sound = self.subscribed.values_mut().filter(|one| one.troubles.is_empty());
        let last = sound.filter_map(|one| one.state.last.as_mut()).filter(|last| last.term == term);
        last.for_each(|last| last.count += 1);
    }

    /// No answer could be had or understood. Reported once for each kind of trouble.
    pub(super) fn failed(
        &mut self,
        service: &ServiceKey,
        ticket: Ticket,
        error: &Arc<RegistryError>,
        at: Instant,
    ) -> Noted {
        match present(&mut self.subscribed, self.mode, service, ticket) {
            Some(_) => self.note(service, error, at),
            None => Noted::Known,
        }
    }

    /// The registry as a whole fails: every service hears of it.
    pub(super) fn all_failed(&mut self, error: &Arc<RegistryError>, at: Instant) {
        let services: Vec<_> = self.subscribed.keys().cloned().collect();
        for service in &services {
            self.note(service, error, at);
        }
    }

    fn note(&mut self, service: &ServiceKey, error: &Arc<RegistryError>, at: Instant) -> Noted {
        let Some(one) = self.subscribed.get_mut(service) else { return Noted::Known };
        if one.troubles.contains(&error.kind()) {
            return Noted::Known;
        }
        one.troubles.push(error.kind());
        let since = one.state.trouble.as_ref().map_or(at, |trouble| trouble.since);
        one.state.trouble = Some(Trouble { error: Arc::clone(error), since });
        let idle = !one.is_pending();
        one.pending_trouble = true;
        if idle {
            self.enqueue(service);
        }
        let count = self.troubled.entry(error.kind()).or_default();
        *count += 1;
        Noted::New(*count)
    }

    /// The next report. An answer comes before a failure: that says that the last answer stands.
    pub(super) fn next_report(&mut self) -> Option<Report> {
        let service = self.waiting.pop_front()?;
        let one = self.subscribed.get_mut(&service)?;
        let answered = std::mem::take(&mut one.pending_answer);
        let state = one.state.clone();
        if !answered {
            one.pending_trouble = false;
        } else if one.pending_trouble {
            self.waiting.push_front(Arc::clone(&service));
        }
        Some(Report { service, state, answered })
    }

    /// Whether a report waits.
    pub(super) fn has_reports(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The limit of all services together, if this answer goes over the share of its service and its namespace in it.
    pub(super) fn over(&self, service: &ServiceKey, answer: &Service) -> Option<usize> {
        let (old, new) = (self.subscribed.get(service).map_or(0, |one| one.size), size(answer));
        // What became smaller is always kept, and nobody's share matters while half of it all is free.
        let matters = new > old && self.kept - old + new > KEPT_LIMIT / 2;
        let all = || self.subscribed.iter().map(|(service, one)| (&**service, one.size));
        (matters && !has_room(service, new, all())).then_some(KEPT_LIMIT)
    }

    /// Whether an answer lacks an instance that the last one listed.
    pub(super) fn would_lose(&self, service: &ServiceKey, answer: &Service) -> bool {
        let Some(last) = self.state(service).and_then(|state| state.last.as_ref()) else { return false };
        let listed: HashSet<_> = answer.instances.iter().map(|instance| &instance.id).collect();
        last.content.instances().iter().any(|instance| !listed.contains(&instance.id))
    }
}

/// The subscription that a ticket is of, while it counts.
fn present<'a>(
    subscribed: &'a mut BTreeMap<Arc<ServiceKey>, Subscribed>,
    mode: PollMode,
    service: &ServiceKey,
    ticket: Ticket,
) -> Option<&'a mut Subscribed> {
    let one = subscribed.get_mut(service)?;
    (ticket == Ticket { subscription: one.number, term: mode.term }).then_some(one)
}

/// Ends a service's troubles; returns whether it had any.
fn end_troubles(one: &mut Subscribed, troubled: &mut HashMap<&'static str, usize>) -> bool {
    one.state.trouble = None;
    if one.troubles.is_empty() {
        return false;
    }
    for kind in one.troubles.drain(..) {
        if let Some(count) = troubled.get_mut(kind) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                troubled.remove(kind);
                info!(kind, "no service fails in this way any more");
            }
        }
    }
    true
}

#[cfg(test)]
mod tests;
