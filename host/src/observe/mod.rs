//! The page that others read of a running controller: metrics, the status and probes, made when somebody asks.
//!
//! Nothing here is secret, and no label has a value that grows with the number of entries, unless that is asked for.

mod collector;
mod connections;
mod formats;
mod process;
mod server;
mod shared_body;
mod site;
mod status;
mod token;
mod view;
mod words;

pub use collector::Collected;
pub use server::{HttpError, HttpServer, Purpose};
pub use site::Site;
pub use status::{EntryStatus, Held, Instances, LastWrite, PolicyStatus, Problem, Server, Status};
pub use view::View;
