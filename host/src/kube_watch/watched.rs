//! Objects as a watch shows them, by name: a list that comes anew replaces what is known only once it is whole.

use std::collections::BTreeMap;

use kube::runtime::watcher::Event;

/// All objects of one kind.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    pub(crate) objects: BTreeMap<String, T>,
    incoming: BTreeMap<String, T>,
    /// Whether a whole list was received.
    pub(crate) complete: bool,
}

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), incoming: BTreeMap::new(), complete: false }
    }
}

impl<T> Watched<T> {
    /// Takes an event in. Returns whether something is `other` than it was.
    pub(crate) fn apply<K>(
        &mut self,
        event: Event<K>,
        read: impl Fn(K) -> (String, T),
        other: impl Fn(&T, &T) -> bool,
    ) -> bool {
        match event {
            Event::Init => {
                self.incoming.clear();
                false
            }
            Event::InitApply(object) => {
                let (name, value) = read(object);
                self.incoming.insert(name, value);
                false
            }
            Event::InitDone => {
                self.objects = std::mem::take(&mut self.incoming);
                self.complete = true;
                true
            }
            Event::Apply(object) => {
                let (name, value) = read(object);
                let differs = self.objects.get(&name).is_none_or(|old| other(old, &value));
                self.objects.insert(name, value);
                differs
            }
            Event::Delete(object) => self.objects.remove(&read(object).0).is_some(),
        }
    }
}
