//! The thread that forks all children.
//!
//! Children get SIGKILL when the thread that forked them ends (this is what
//! Linux's "parent death signal" means by parent), so that they die with the
//! test process whatever happens to it. Test threads come and go; this one
//! lives as long as the process.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread;

type Order = (Command, SyncSender<io::Result<Child>>);

/// Spawns a command from the thread that never ends.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver) = channel::<Order>();
        thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                for (mut command, answer) in receiver {
                    let _ = answer.send(command.spawn());
                }
            })
            .expect("a thread can be started");
        sender
    });
    let (sender, receiver) = sync_channel(1);
    orders.send((command, sender)).expect("the spawner lives on");
    receiver.recv().expect("the spawner answers every order")
}
