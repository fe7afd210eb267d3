//! The schedule of a simulation, generated from its seed: the world at the beginning, and what happens in it.

use std::time::Duration;

use crate::chance::Chance;
use crate::faults::{ApiFault, RegistryFault};
use crate::native::Habit;
use crate::operators::Annotation;

/// How long things happen; after that the world is made sound.
pub(crate) const TURMOIL: Duration = Duration::from_secs(300);

/// Something that happens. Services, entries and replicas are named by number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Register(usize, usize),
    /// So many of a hundred instances deregister, at least one.
    Deregister(usize, u64),
    /// One instance is replaced by another.
    Replace(usize),
    Isolate(usize, u64),
    Sicken(usize, u64),
    Heal(usize),
    SwapServices(usize, usize),
    /// The registry lists nothing of any service.
    RestartEmpty,
    /// It lists what it listed so many seconds ago.
    RestartFromBackup(u64),
    /// A share of the services is not known any more.
    Forget(u64),
    /// All that is registered is listed again: of so many of a hundred services.
    Fill(u64),
    Registry(Vec<RegistryFault>),
    Api(Vec<ApiFault>),
    Compact,
    /// The CRD is deleted, and all entries with it; or it is back, and their owners create them anew.
    Crd(bool),
    Create(usize, usize),
    Delete(usize),
    Recreate(usize),
    Rename(usize, usize),
    Point(usize, usize),
    SwapEntries(usize, usize),
    Label(usize, bool),
    Annotate(usize, Annotation, bool),
    Meddle(usize),
    Strip(usize),
    Pause(bool),
    /// The policy is created or deleted.
    Import(bool),
    /// Its template is changed.
    EditImport(u64),
    Release,
    SpoilState(bool),
    /// The leading replica, or any.
    Kill(bool),
    Stop(bool),
    /// The leader is cut off for so many seconds.
    CutOff(u64),
    /// All replicas stand still for so many seconds, while time goes on and somebody else takes the lease.
    Freeze(u64),
    Offer(Habit),
    Promote,
    RollBack,
}

/// A world and what happens in it.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Instances by service.
    pub(crate) services: Vec<usize>,
    /// The service of each entry, and whether it declares its ports.
    pub(crate) entries: Vec<(usize, bool)>,
    pub(crate) replicas: usize,
    pub(crate) elected: bool,
    /// Whether a policy makes entries for all services.
    pub(crate) policies: bool,
    pub(crate) events: Vec<(Duration, Event)>,
}

impl Schedule {
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 0);
        let count = chance.pick(&[2, 4, 6, 8]);
        let services = (0..count).map(|_| chance.pick(&[1, 2, 4, 6, 10])).collect();
        let entries = (0..count + chance.below(2)).map(|at| (at % count, chance.percent(70))).collect();
        let replicas = chance.pick(&[1, 2]);
        let elected = replicas > 1 || chance.percent(50);
        let policies = chance.percent(30);
        let mut draft = Draft { chance, services: count, events: Vec::new() };
        for _ in 0..draft.chance.between(2, 9) {
            draft.add();
        }
        let mut events = draft.events;
        events.sort_by_key(|(at, _)| *at);
        Self { services, entries, replicas, elected, policies, events }
    }
}

struct Draft {
    chance: Chance,
    services: usize,
    events: Vec<(Duration, Event)>,
}

impl Draft {
    fn add(&mut self) {
        let at = self.chance.between(10_000, TURMOIL.as_millis() as u64 - 20_000);
        match self.chance.below(10) {
            0..=2 => self.owners(at),
            3 | 4 => self.registry(at),
            5 => self.api(at),
            6 | 7 => self.people(at),
            8 => self.replicas(at),
            _ => self.modules(at),
        }
    }

    fn push(&mut self, at: u64, event: Event) {
        self.events.push((Duration::from_millis(at), event));
    }

    fn service(&mut self) -> usize {
        self.chance.below(self.services)
    }

    /// The owners of services: each deployment, scaling and trouble of theirs.
    fn owners(&mut self, at: u64) {
        let service = self.service();
        match self.chance.below(9) {
            0 => {
                let count = self.chance.below(6) + 1;
                self.push(at, Event::Register(service, count));
            }
            1 => {
                let share = self.chance.pick(&[10, 50, 60, 90, 100]);
                self.push(at, Event::Deregister(service, share));
            }
            // A rolling update; of several services at once, often.
            2 | 3 => {
                let many = self.chance.below(self.services) + 1;
                for service in 0..many {
                    let (pods, pause) = (self.chance.between(2, 6), self.chance.pick(&[500, 3_000, 8_000]));
                    (0..pods).for_each(|pod| self.push(at + pod * pause, Event::Replace(service)));
                }
            }
            // Little by little.
            4 => {
                let (steps, pause) = (self.chance.between(2, 6), self.chance.pick(&[2_000, 5_000, 15_000]));
                let share = self.chance.pick(&[30, 45, 49]);
                let all = self.chance.percent(50);
                for step in 0..steps {
                    let services = if all { 0..self.services } else { service..service + 1 };
                    services.for_each(|service| self.push(at + step * pause, Event::Deregister(service, share)));
                }
            }
            // Everything comes and goes.
            5 => {
                let pause = self.chance.pick(&[1_000, 4_000, 12_000]);
                for turn in 0..self.chance.between(1, 4) {
                    self.push(at + 2 * turn * pause, Event::Deregister(service, 100));
                    self.push(at + (2 * turn + 1) * pause, Event::Register(service, 3));
                }
            }
            6 => {
                let share = self.chance.pick(&[20, 60, 100]);
                self.push(at, Event::Isolate(service, share));
                let back = self.chance.between(1_000, 60_000);
                self.push(at + back, Event::Heal(service));
            }
            7 => {
                let (share, all) = (self.chance.pick(&[20, 60, 90, 100]), self.chance.percent(50));
                let services = if all { 0..self.services } else { service..service + 1 };
                let back = self.chance.between(1_000, 60_000);
                for service in services {
                    self.push(at, Event::Sicken(service, share));
                    self.push(at + back, Event::Heal(service));
                }
            }
            _ => {
                let other = self.service();
                self.push(at, Event::SwapServices(service, other));
            }
        }
    }

    fn registry(&mut self, at: u64) {
        let lasts = self.chance.pick(&[3_000, 10_000, 40_000, 90_000]);
        match self.chance.below(6) {
            0 => self.push(at, Event::RestartEmpty),
            1 => {
                let ago = self.chance.between(10, 120);
                self.push(at, Event::RestartFromBackup(ago));
            }
            2 => {
                let share = self.chance.pick(&[20, 50, 100]);
                self.push(at, Event::Forget(share));
            }
            _ => {
                let share = self.chance.pick(&[20, 60, 100]);
                let fault = self.chance.pick(&[
                    RegistryFault::Slow(4_000),
                    RegistryFault::Hangs(share),
                    RegistryFault::Limits(share),
                    RegistryFault::Fails(share),
                    RegistryFault::Drops(share),
                    RegistryFault::Denies(share),
                    RegistryFault::Cuts(share),
                    RegistryFault::Old(8_000),
                    RegistryFault::Down,
                ]);
                self.push(at, Event::Registry(vec![fault]));
                return self.push(at + lasts, Event::Registry(Vec::new()));
            }
        }
        // It fills up at once, or little by little.
        for part in 0..self.chance.between(0, 3) {
            let share = self.chance.pick(&[30, 60]);
            self.push(at + lasts + part * 2_000, Event::Fill(share));
        }
        self.push(at + lasts + 8_000, Event::Fill(100));
    }

    fn api(&mut self, at: u64) {
        let lasts = self.chance.pick(&[3_000, 10_000, 40_000]);
        let share = self.chance.pick(&[10, 50, 100]);
        let fault = self.chance.pick(&[
            ApiFault::Slow(3_000),
            ApiFault::Answers(409, share),
            ApiFault::Answers(422, share),
            ApiFault::Answers(429, share),
            ApiFault::Answers(500, share),
            ApiFault::ForgetsToAnswer(share),
            ApiFault::Refuses,
            ApiFault::WatchesLate(5_000),
            ApiFault::WatchesSilent,
            ApiFault::WatchesExpire,
        ]);
        if self.chance.percent(10) {
            self.push(at, Event::Crd(false));
            return self.push(at + lasts, Event::Crd(true));
        }
        self.push(at, Event::Api(vec![fault]));
        self.push(at + lasts, Event::Api(Vec::new()));
        if self.chance.percent(30) {
            self.push(at + 500, Event::Compact);
        }
    }

    fn people(&mut self, at: u64) {
        let (entry, other, service) = (self.service(), self.service(), self.service());
        let back = at + self.chance.pick(&[0, 300, 3_000, 30_000]);
        match self.chance.below(14) {
            0 => self.push(at, Event::Create(self.services + 2, service)),
            1 => {
                self.push(at, Event::Delete(entry));
                self.push(back, Event::Create(entry, service));
            }
            2 => self.push(at, Event::Recreate(entry)),
            3 => self.push(at, Event::Rename(entry, entry + 20)),
            4 => {
                self.push(at, Event::Point(entry, service));
                self.push(back, Event::Point(entry, other));
            }
            5 => self.push(at, Event::SwapEntries(entry, other)),
            6 => {
                self.push(at, Event::Label(entry, false));
                self.push(back, Event::Label(entry, true));
            }
            7 => {
                let annotation = self.chance.pick(&Annotation::ALL);
                self.push(at, Event::Annotate(entry, annotation, true));
                self.push(back, Event::Annotate(entry, annotation, false));
            }
            8 => {
                let times = self.chance.between(1, 3);
                (0..times).for_each(|turn| self.push(at + turn * 1_500, Event::Meddle(entry)));
            }
            9 => self.push(at, Event::Strip(entry)),
            10 => {
                self.push(at, Event::Pause(true));
                self.push(back, Event::Pause(false));
            }
            11 => {
                self.push(at, Event::Import(false));
                self.push(back, Event::Import(true));
            }
            12 => self.push(at, Event::EditImport(at)),
            _ => self.push(at, Event::Release),
        }
    }

    fn replicas(&mut self, at: u64) {
        let leader = self.chance.percent(70);
        match self.chance.below(6) {
            0 | 1 => self.push(at, Event::Kill(leader)),
            4 => {
                let seconds = self.chance.pick(&[5, 20, 50]);
                self.push(at, Event::Freeze(seconds));
            }
            2 => self.push(at, Event::Stop(leader)),
            3 => {
                let seconds = self.chance.pick(&[3, 12, 40]);
                self.push(at, Event::CutOff(seconds));
            }
            _ => {
                let lose = self.chance.percent(60);
                self.push(at, Event::SpoilState(lose));
            }
        }
    }

    fn modules(&mut self, at: u64) {
        let habit = self.chance.pick(&Habit::ALL);
        self.push(at, Event::Offer(habit));
        let later = at + self.chance.between(5_000, 60_000);
        if self.chance.percent(30) {
            self.push(at + 4_000, Event::Promote);
        }
        if self.chance.percent(60) {
            self.push(later, Event::RollBack);
        }
    }
}
