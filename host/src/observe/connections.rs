//! The open connections of a server, bounded for all and for each client. A new one is never refused: the oldest of whoever has
//! too many makes room for it. So clients that say nothing, or read nothing, keep no other out, and not even themselves.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// Connections at once.
const ALL: usize = 64;
/// Connections of one client at once. A scraper needs one.
const EACH: usize = 16;

/// The open connections. They end with this.
#[derive(Default)]
pub(super) struct Connections {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    /// By age.
    open: BTreeMap<u64, (IpAddr, AbortHandle)>,
}

/// The place of one connection, which is free when this is dropped.
struct Place {
    connections: Arc<Connections>,
    id: u64,
}

impl Connections {
    /// Serves a connection on a task of its own.
    pub(super) fn serve(self: &Arc<Self>, from: IpAddr, connection: impl Future<Output = ()> + Send + 'static) {
        let client = client(from);
        let mut table = self.lock();
        table.make_room(client);
        let id = table.next;
        table.next += 1;
        let place = Place { connections: Arc::clone(self), id };
        let task = tokio::spawn(async move {
            connection.await;
            drop(place);
        });
        // The place is not free before this: that needs the lock.
        table.open.insert(id, (client, task.abort_handle()));
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn make_room(&mut self, client: IpAddr) {
        let mut counts = HashMap::<IpAddr, usize>::new();
        for (client, _) in self.open.values() {
            *counts.entry(*client).or_default() += 1;
        }
        let greedy = if counts.get(&client).is_some_and(|count| *count >= EACH) {
            Some(client)
        } else if self.open.len() >= ALL {
            counts.into_iter().max_by_key(|(_, count)| *count).map(|(client, _)| client)
        } else {
            None
        };
        let oldest = greedy.and_then(|greedy| self.open.iter().find(|(_, (client, _))| *client == greedy));
        if let Some(id) = oldest.map(|(id, _)| *id)
            && let Some((_, task)) = self.open.remove(&id)
        {
            task.abort();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().open.remove(&self.id);
    }
}

/// The client behind an address: with IPv6 the whole network of 64 bits, which is one machine's to choose from.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    /// A connection that stays, and what ends with it.
    fn open(connections: &Arc<Connections>, from: &str) -> oneshot::Receiver<()> {
        let (sender, ended) = oneshot::channel();
        connections.serve(from.parse().unwrap(), async move {
            let _sender = sender;
            pending::<()>().await;
        });
        ended
    }

    async fn ends(ended: oneshot::Receiver<()>) -> bool {
        tokio::time::timeout(Duration::from_secs(10), ended).await.is_ok()
    }

    #[tokio::test]
    async fn a_client_with_too_many_loses_its_oldest() {
        let connections = Arc::new(Connections::default());
        let other = open(&connections, "10.0.0.2");
        let mut greedy: Vec<_> = (0..=EACH).map(|_| open(&connections, "10.0.0.1")).collect();
        assert!(ends(greedy.remove(0)).await);
        assert_eq!(connections.lock().open.len(), EACH + 1);
        assert!(greedy.iter_mut().all(|one| one.try_recv() == Err(oneshot::error::TryRecvError::Empty)));
        drop(other);
    }

    #[tokio::test]
    async fn many_clients_lose_the_oldest_of_the_greediest() {
        let connections = Arc::new(Connections::default());
        let mut quiet = open(&connections, "10.0.0.1");
        let greedy = open(&connections, "10.0.0.2");
        let _more = open(&connections, "10.0.0.2");
        let _others: Vec<_> = (3..ALL).map(|n| open(&connections, &format!("10.1.0.{n}"))).collect();
        assert_eq!(connections.lock().open.len(), ALL);
        let _new = open(&connections, "10.2.0.1");
        assert!(ends(greedy).await);
        assert_eq!(connections.lock().open.len(), ALL);
        assert_eq!(quiet.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }

    #[test]
    fn a_client_is_a_machine() {
        for (address, same) in
            [("::ffff:10.0.0.1", "10.0.0.1"), ("2001:db8::1", "2001:db8::"), ("10.0.0.1", "10.0.0.1")]
        {
            assert_eq!(client(address.parse().unwrap()), same.parse::<IpAddr>().unwrap());
        }
    }
}
