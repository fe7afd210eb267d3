//! Views of a running controller for others: a page to keep open, metrics, the status and probes, made when somebody asks.
//!
//! Nothing here is secret, and no label has a value that grows with the number of entries, unless that is asked for.

mod capture;
mod collector;
mod connections;
mod explanation;
mod feed;
mod formats;
mod html;
mod live_explanation;
mod module_notices;
mod page;
mod process;
mod query;
mod server;
mod shared_body;
mod site;
mod status;
mod token;
mod view;
mod viewer;
mod words;

pub use capture::Capture;
pub use collector::Collected;
pub use explanation::{Explanation, Fate, Reason, severity_word};
pub use live_explanation::LiveExplanation;
pub use server::{HttpError, HttpServer, Purpose};
pub use site::Site;
pub use status::{EntryStatus, Held, Instances, LastWrite, PolicyStatus, Problem, Server, Status};
pub use view::View;
