//! The native host of `polaris2istio`.

pub mod cases;
pub mod cli;
pub mod controller;
pub mod converter;
pub mod entries;
pub mod guard;
pub mod istio;
pub mod names;
mod outage;
pub mod plan;
pub mod registry;
pub mod run;
pub mod sink;
pub mod watch_dir;
