//! One world: servers, replicas and people, who live through a schedule, and are looked at all the while.

mod happen;

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use polaris2istio::source::ModuleBytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api_server::{ApiServer, ENTRIES};
use crate::invariants::{self, Found};
use crate::journal::{Journal, Note};
use crate::machine;
use crate::native::Habit;
use crate::operators::{Annotation, Operators};
use crate::registry::Registry;
use crate::replicas::{Means, Replica};
use crate::schedule::{Schedule, TURMOIL};
use polaris2istio::rollout::Command;

/// How often everything is looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(10);

/// How long after the turmoil a person looks at what is held and lets go of it, once the registry lists all there is.
const RELEASED: Duration = Duration::from_secs(100);

/// How long after that everything must be as it should.
const RIGHT: Duration = Duration::from_secs(45);

/// Names of entries that schedules know.
const NAMES: usize = 40;

pub(crate) struct World {
    schedule: Schedule,
    journal: Journal,
    registry: Registry,
    api: ApiServer,
    operators: Operators,
    module: watch::Sender<ModuleBytes>,
    replicas: Vec<Replica>,
    means: Means,
    /// What is wrong with an entry in a state, with a service in one.
    judged: RefCell<HashMap<String, Option<String>>>,
    /// Processes so far.
    processes: usize,
}

/// Lives through a schedule. Returns what is wrong about it.
pub(crate) fn live(seed: u64, schedule: Schedule) -> Vec<Found> {
    let runtime = machine::runtime(seed);
    runtime.block_on(async {
        let mut world = World::new(seed, schedule);
        world.begin().await;
        world.suffer().await;
        world.recover().await;
        world.judge()
    })
}

impl World {
    fn new(seed: u64, schedule: Schedule) -> Self {
        let journal = Journal::default();
        let (registry, api) = (Registry::new(seed, journal.clone()), ApiServer::new(seed, journal.clone()));
        let module = watch::Sender::new(Habit::Sound.bytes());
        let means = Means {
            registry: registry.clone(),
            api: api.clone(),
            module: module.subscribe(),
            elected: schedule.elected,
            policies: schedule.policies,
        };
        let operators = Operators::new(api.clone());
        Self {
            schedule,
            journal,
            registry,
            api,
            operators,
            module,
            replicas: Vec::new(),
            means,
            judged: RefCell::default(),
            processes: 0,
        }
    }

    async fn begin(&mut self) {
        for (service, count) in self.schedule.services.clone().into_iter().enumerate() {
            self.registry.register(&name_of_service(service), count);
        }
        for (entry, (service, declared)) in self.schedule.entries.clone().into_iter().enumerate() {
            self.operators.create(&name_of_entry(entry), &name_of_service(service), declared);
        }
        self.import(true);
        for _ in 0..self.schedule.replicas {
            self.start();
        }
    }

    fn import(&self, wanted: bool) {
        if self.schedule.policies {
            self.operators.import(wanted);
        }
    }

    fn start(&mut self) {
        self.replicas.push(Replica::start(self.processes, &self.means));
        self.processes += 1;
    }

    /// Lives through all that happens.
    async fn suffer(&mut self) {
        let start = Instant::now();
        let mut events = self.schedule.events.clone().into_iter().peekable();
        let mut look = LOOK;
        while start.elapsed() < TURMOIL {
            let next = events.peek().map_or(TURMOIL, |(at, _)| *at).min(look).min(TURMOIL);
            sleep_until(start + next).await;
            if next == look {
                look += LOOK;
                self.look();
            }
            while let Some((_, event)) = events.next_if(|(at, _)| *at <= start.elapsed()) {
                self.journal.note(Note::Did(format!("{event:?}")));
                self.happen(event).await;
            }
        }
    }

    /// Makes the world sound, and gives it time.
    async fn recover(&mut self) {
        self.api.set_faults(Vec::new());
        self.registry.set_faults(Vec::new());
        if !self.api.has_crd() {
            self.set_crd(true);
        }
        self.replicas.iter().for_each(|replica| replica.line.set(true));
        for service in self.registry.services() {
            self.heal(&service);
            self.registry.list(&service, |registered| Some(registered.clone()));
        }
        for entry in self.api.names(ENTRIES) {
            self.operators.label(&entry, true);
            Annotation::ALL.into_iter().for_each(|annotation| self.operators.annotate(&entry, annotation, false));
        }
        self.import(true);
        self.operators.mend_state();
        self.operators.pause(false);
        self.module.send_replace(Habit::Sound.bytes());
        sleep(Duration::from_secs(2)).await;
        self.promote();
        self.journal.note(Note::Sound);
        self.wait(RELEASED).await;
        self.replicas.iter().for_each(Replica::release);
        self.journal.note(Note::Released);
        self.wait(RIGHT).await;
    }

    /// A person promotes what is offered, or approves it where it is in use.
    fn promote(&mut self) {
        let offered = self.module.borrow().digest.to_string();
        self.operators.module(Command::Promote(offered.parse().expect("a digest names a module")));
    }

    async fn wait(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            sleep(LOOK).await;
            self.look();
        }
    }

    fn look(&self) {
        self.replicas.iter().filter_map(Replica::status).for_each(|status| self.journal.note(status));
        for entry in self.api.names(ENTRIES) {
            if let Some(problem) = self.wrong(&entry) {
                self.journal.note(Note::Wrong { name: entry, problem });
            }
        }
    }

    /// What is wrong with an entry, by the rules and what the registry lists.
    fn wrong(&self, name: &str) -> Option<String> {
        let entry = self.api.get(ENTRIES, name)?;
        let service = self.operators.service(name)?;
        let answer = self.registry.answer(&service);
        let revision = answer.as_ref().map(|answer| answer["service"]["revision"].to_string()).unwrap_or_default();
        let state = format!("{name} {} {service} {revision}", entry["metadata"]["resourceVersion"]);
        let mut judged = self.judged.borrow_mut();
        let judge = || invariants::wrong(&entry, &service, answer.as_ref());
        judged.entry(state).or_insert_with(judge).clone()
    }

    fn judge(&self) -> Vec<Found> {
        let journal = self.journal.all();
        let mut found = invariants::judge(&journal, self.schedule.elected);
        for entry in self.api.names(ENTRIES) {
            found.extend(
                self.wrong(&entry).map(|problem| Found::new("right", format!("{entry} at the end: {problem}"))),
            );
        }
        if self.schedule.policies {
            found.extend(invariants::policies::at_the_end(&self.api, &self.registry.services()));
        }
        let entries = self.api.names(ENTRIES);
        for held in self.replicas.iter().flat_map(Replica::held) {
            let known = if entries.contains(&held) { "is still held" } else { "is remembered, and gone" };
            found.push(Found::new("over", format!("{held} {known}")));
        }
        found
    }
}

/// So many of a hundred of these, at least one.
fn part(of: usize, share: u64) -> usize {
    (of * share as usize / 100).clamp(1, of.max(1))
}

fn name_of_service(number: usize) -> String {
    format!("s{number}")
}

fn name_of_entry(number: usize) -> String {
    format!("e{number:02}")
}
