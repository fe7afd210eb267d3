//! The controller over directories, as a process: as the operator sees it who edits files beside it.
//!
//! No server is needed, so this is also where bad input of every kind is tried.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod bad_input;
mod documents;
mod editing;
mod fixture;
mod guard;
mod holds;
mod leftovers;
mod module;
mod policies;
mod rebinding;
