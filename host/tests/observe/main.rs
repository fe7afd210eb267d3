//! The HTTP side of a running controller against clients that mean no good, or are merely slow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod browser;
mod clients;
mod controller;
mod in_browser;
mod page;
