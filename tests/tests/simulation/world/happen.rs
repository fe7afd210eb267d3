//! What happens in a world, event by event.

use std::time::Duration;

use tokio::time::sleep;

use super::{NAMES, World, name_of_entry, name_of_service, part};
use crate::journal::{Fate, Note};
use crate::machine;
use crate::registry::Instances;
use crate::replicas::{LEASE, Replica, identity};
use crate::schedule::Event;

impl World {
    pub(super) async fn happen(&mut self, event: Event) {
        match event {
            Event::Register(service, count) => self.registry.register(&name_of_service(service), count),
            Event::Deregister(service, share) => {
                self.registry.change(&name_of_service(service), |all| {
                    let going: Vec<_> = all.keys().take(part(all.len(), share)).cloned().collect();
                    going.iter().for_each(|id| drop(all.remove(id)));
                });
            }
            Event::Replace(service) => {
                let service = name_of_service(service);
                let Some(oldest) = self.registry.registered(&service).into_keys().next() else { return };
                self.registry.register(&service, 1);
                self.registry.change(&service, |all| drop(all.remove(&oldest)));
            }
            Event::Isolate(service, share) => self.flag(service, share, Fate::TakenOut),
            Event::Sicken(service, share) => self.flag(service, share, Fate::Unhealthy),
            Event::Heal(service) => self.heal(&name_of_service(service)),
            Event::SwapServices(one, other) => self.registry.swap(&name_of_service(one), &name_of_service(other)),
            Event::RestartEmpty => self.relist(|_, _| Some(Default::default())),
            Event::RestartFromBackup(ago) => {
                let at = machine::elapsed().saturating_sub(Duration::from_secs(ago));
                let registry = self.registry.clone();
                self.relist(|_, service| registry.listed_at(service, at));
            }
            Event::Forget(share) => {
                let few = part(self.schedule.services.len(), share);
                for service in 0..few {
                    self.registry.list(&name_of_service(service), |_| None);
                }
            }
            Event::Fill(share) => {
                let few = part(self.schedule.services.len(), share);
                for service in 0..few {
                    self.registry.list(&name_of_service(service), |registered| Some(registered.clone()));
                }
            }
            Event::Registry(faults) => self.registry.set_faults(faults),
            Event::Api(faults) => self.api.set_faults(faults),
            Event::Compact => self.api.compact(),
            Event::Crd(there) => self.set_crd(there),
            event => self.happen_to_entries(event).await,
        }
    }

    async fn happen_to_entries(&mut self, event: Event) {
        let operators = &mut self.operators;
        match event {
            Event::Create(entry, service) => operators.create(&name_of_entry(entry), &name_of_service(service), true),
            Event::Delete(entry) => operators.delete(&name_of_entry(entry)),
            Event::Recreate(entry) => operators.recreate(&name_of_entry(entry), &name_of_entry(entry)),
            Event::Rename(entry, new) => operators.recreate(&name_of_entry(entry), &name_of_entry(new % NAMES)),
            Event::Point(entry, service) => operators.point(&name_of_entry(entry), &name_of_service(service)),
            Event::SwapEntries(one, other) => operators.swap(&name_of_entry(one), &name_of_entry(other)),
            Event::Label(entry, labelled) => operators.label(&name_of_entry(entry), labelled),
            Event::Annotate(entry, annotation, set) => operators.annotate(&name_of_entry(entry), annotation, set),
            Event::Meddle(entry) => operators.meddle(&name_of_entry(entry)),
            Event::Strip(entry) => operators.strip(&name_of_entry(entry)),
            Event::Pause(paused) => operators.pause(paused),
            Event::Import(wanted) => self.import(wanted),
            Event::EditImport(text) => operators.edit_import(text),
            Event::Release => {
                self.replicas.iter().for_each(Replica::release);
                self.journal.note(Note::Released);
            }
            Event::SpoilState(lose) => operators.spoil_state(lose),
            event => self.happen_to_processes(event).await,
        }
    }

    async fn happen_to_processes(&mut self, event: Event) {
        match event {
            Event::Kill(leader) => {
                self.take(leader).kill();
                self.start();
            }
            Event::Stop(leader) => {
                self.take(leader).stop();
                self.start();
            }
            Event::CutOff(seconds) => {
                let line = self.replicas[self.leader()].line.clone();
                line.set(false);
                tokio::spawn(async move {
                    sleep(Duration::from_secs(seconds)).await;
                    line.set(true);
                });
            }
            Event::Freeze(seconds) => self.freeze(Duration::from_secs(seconds)).await,
            Event::Offer(habit) => drop(self.module.send_replace(habit.bytes())),
            Event::Promote => self.promote(),
            Event::RollBack => self.operators.roll_back(),
            event => panic!("nobody makes it happen: {event:?}"),
        }
    }

    pub(super) fn set_crd(&self, there: bool) {
        self.api.set_crd(there);
        if there {
            let all = self.schedule.entries.iter().enumerate();
            let all =
                all.map(|(entry, (service, declared))| (name_of_entry(entry), name_of_service(*service), *declared));
            self.operators.create_missing(&all.collect::<Vec<_>>());
        }
    }

    /// No replica does anything, as on a machine that sleeps. For long enough, and somebody else has led meanwhile.
    async fn freeze(&self, time: Duration) {
        if time > LEASE {
            self.operators.usurp(time);
        }
        tokio::time::advance(time).await;
    }

    fn leader(&self) -> usize {
        let lease = self.api.get("leases", "lease").unwrap_or_default();
        let leads = |replica: &Replica| lease["spec"]["holderIdentity"] == *identity(replica.number);
        self.replicas.iter().position(leads).unwrap_or(0)
    }

    /// Takes the leader out of the replicas, or the last one that does not lead.
    fn take(&mut self, leader: bool) -> Replica {
        let leads = self.leader();
        let other = (0..self.replicas.len()).rev().find(|at| *at != leads).unwrap_or(leads);
        self.replicas.remove(if leader { leads } else { other })
    }

    fn flag(&self, service: usize, share: u64, fate: Fate) {
        self.registry.change(&name_of_service(service), |all| {
            let few = part(all.len(), share);
            all.values_mut().take(few).for_each(|instance| instance.fate = fate);
        });
    }

    pub(super) fn heal(&self, service: &str) {
        self.registry.change(service, |all| all.values_mut().for_each(|instance| instance.fate = Fate::Fit));
    }

    /// The registry lists something else of every service.
    fn relist(&self, listing: impl Fn(&Instances, &str) -> Option<Instances>) {
        for service in self.registry.services() {
            self.registry.list(&service, |registered| listing(registered, &service));
        }
    }
}
