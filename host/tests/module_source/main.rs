//! Where modules come from: files, mounted directories and OCI registries, with all that can befall them. Nothing here sleeps
//! for a fixed time: each test waits for news, with a deadline.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod files;
mod mounts;
mod news;
mod registry;
