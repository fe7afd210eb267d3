//! Ten changes a second: the services roll, one instance after the other, the new one first.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use polaris2istio_tests::servers::Instance;
use tokio::time::{Instant, sleep_until};

use super::super::known::Known;
use super::super::world::World;
use super::{INSTANCES, SERVICES, instance, name};

/// Between the two changes of a replacement: the new one takes its time to be ready.
const READY: usize = 10;
/// Ten a second.
const PACE: Duration = Duration::from_millis(100);
/// Services that roll at the same time.
const ROLLING: usize = 20;

/// What was replaced how often.
pub(crate) struct Churn {
    known: Arc<Mutex<Known>>,
    generations: Vec<[usize; INSTANCES]>,
    /// The next place of all, service by service within a batch.
    next: usize,
    /// Registered, while the ones before are listed still.
    pending: std::collections::VecDeque<(usize, usize)>,
    changes: usize,
}

impl Churn {
    pub(super) fn new(known: Arc<Mutex<Known>>) -> Self {
        let generations = vec![[0; INSTANCES]; SERVICES];
        Self { known, generations, next: 0, pending: Default::default(), changes: 0 }
    }

    pub(super) fn changes(&self) -> usize {
        self.changes
    }

    /// All instances as they should be listed. Those that are about to go come first: a service that lists one less than it had, and as
    /// many as it should have, cannot be told from one that was replaced.
    pub(crate) fn all(&self, world: &World) -> Vec<Instance> {
        let mut all = Vec::new();
        for (service, place) in &self.pending {
            let generation = self.generations[*service][*place].saturating_sub(1);
            all.push(instance(world, *service, *place, generation).0);
        }
        for (service, places) in self.generations.iter().enumerate() {
            for (place, generation) in places.iter().enumerate() {
                let (instance, host) = instance(world, service, place, *generation);
                self.known.lock().unwrap().came(&name(service), &[&host]);
                all.push(instance);
            }
        }
        all
    }

    /// Goes on until then.
    pub(super) async fn run_until(&mut self, end: Instant, world: &World) {
        let mut next = Instant::now();
        while next < end {
            self.step(world).await;
            next += PACE;
            sleep_until(next.min(end)).await;
        }
    }

    /// One instance comes, or an older one goes.
    async fn step(&mut self, world: &World) {
        self.changes += 1;
        if self.pending.len() >= READY {
            let Some((service, place)) = self.pending.pop_front() else { return };
            let (old, host) = instance(world, service, place, self.generations[service][place] - 1);
            self.known.lock().unwrap().goes(&name(service), &host);
            return world.admin.deregister(&old).await;
        }
        let (service, place) = self.place();
        self.generations[service][place] += 1;
        let (new, host) = instance(world, service, place, self.generations[service][place]);
        self.known.lock().unwrap().came(&name(service), &[&host]);
        world.admin.register(&new).await;
        self.pending.push_back((service, place));
    }

    /// Twenty services roll side by side, then the next twenty.
    fn place(&mut self) -> (usize, usize) {
        let (batch, step) = (self.next / (ROLLING * INSTANCES), self.next % (ROLLING * INSTANCES));
        self.next += 1;
        ((batch * ROLLING + step % ROLLING) % SERVICES, step / ROLLING)
    }
}
