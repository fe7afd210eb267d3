//! Modules that misbehave, and files that are no module: each ends as an error that says what to do, and costs one entry; and
//! modules that are changed while everything runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod backtrace;
mod calls;
mod controller;
mod cramped;
mod guest;
mod hostile;
mod load;
mod neighbours;
mod reproducible;
mod request;
mod rollout;
mod storm;
mod words;
mod world;
