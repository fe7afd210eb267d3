//! The operator's commands to a running controller, over a unix socket that only its owner can use.
//!
//! Nothing listens on the network for it: only an operator who may `kubectl exec` into the pod may command. A command given
//! to any replica is carried out by the leader.

mod announcer;
mod client;
mod command;
mod router;
mod socket;

pub use announcer::Announcer;
pub use client::{AskError, ask};
pub use command::Command;
pub use router::Router;
pub use socket::{Socket, SocketError};
