//! One writer among several replicas, by a `Lease` of coordination.k8s.io.
//!
//! No crate does this: a writer has to know until when it surely leads, on a clock of its own machine that nobody sets
//! and that goes on while it sleeps (`clock.rs`), counted from before the renewal was sent. Then a process that was frozen does not write when it wakes.
//! `kube-lease-manager` compares wall clocks of several machines and says only "locked", `kube-leader-election` calls itself
//! unfit for more, and `kubert` goes with another kube. The rest is client-go's way: a lease is abandoned when its record has
//! not changed for its time since this process saw it change, so no two clocks are compared.
//!
//! A lease cannot stop a request that is on its way when it ends. So every write carries the resourceVersion that it was
//! made for.

mod leader_elector;
mod presence;
mod record;
mod rules;

pub use leader_elector::{ElectionConfig, LeaderCallbacks, LeaderElector};
pub use presence::{Presence, presence};
