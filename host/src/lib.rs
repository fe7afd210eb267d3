//! The native host of `polaris2istio`.

pub mod cases;
pub mod cli;
pub mod control;
pub mod controller;
pub mod converter;
pub mod election;
pub mod entries;
pub mod gate;
pub mod guard;
mod hash;
pub mod istio;
mod lenient;
pub mod names;
pub mod observe;
mod outage;
mod patience;
pub mod percent;
pub mod plan;
pub mod registry;
pub mod run;
pub mod sink;
pub mod state;
mod tls;
pub mod watch_dir;
