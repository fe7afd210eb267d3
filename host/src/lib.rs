//! The native host of `polaris2istio`. Each room uses only those that stand before it here (`tests/layers.rs`).
#![doc = ""]
#![doc = include_str!("../README.md")]

pub mod annotation;
mod backoff;
pub mod clock;
pub mod digest;
mod hash;
mod http;
mod kube_watch;
mod lenient;
mod log_once;
pub mod percent;
mod redact;
pub mod tasks;
mod text;
mod title;
mod tls;
pub mod watch_dir;

pub mod istio;
pub mod registry;
pub mod source;

pub mod binding;
pub mod plan;
pub mod state;

pub mod converter;
pub mod telemetry;
pub mod writes;

pub mod election;
pub mod entries;
pub mod guard;
pub mod rollout;

pub mod dns;
pub mod policy;
pub mod sink;

pub mod controller;

pub mod cases;
pub mod observe;

pub mod control;

pub mod run;

pub mod cli;
