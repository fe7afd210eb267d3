//! One writer among several replicas, by a `Lease` of coordination.k8s.io.
//!
//! Why this is not a crate's: what a writer needs to know is not whether it leads, but until when it surely does, on the clock
//! of its own machine that nobody sets (`Instant`), counted from before the renewal was sent. Then one that was frozen does
//! not write when it wakes. `kube-lease-manager` compares wall clocks of several machines and says only "locked",
//! `kube-leader-election` calls itself unfit for more, and `kubert` goes with another kube. The rest is client-go's way: a lease
//! is abandoned when its record has not changed for its time since this process saw it change, so no two clocks are compared.
//!
//! What a lease cannot give (a request that is on its way when it ends) every write brings along: the resourceVersion that it
//! was made for.

mod leader_elector;
mod record;
mod rules;

pub use leader_elector::{ElectionConfig, LeaderCallbacks, LeaderElector};
