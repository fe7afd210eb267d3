//! What a module may use of the machine in one call.
//!
//! A module is somebody's code: each limit turns one kind of misbehaviour into an error for one entry, where it would
//! otherwise be the end of the controller.

use std::time::Duration;

/// The limits of one call, and of a component file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of an instance, in bytes.
    pub memory_bytes: usize,
    /// Wall-clock time of a call.
    pub time: Duration,
    /// What a result may take in host memory, in bytes (wasmtime's hostcall fuel).
    pub output_bytes: usize,
    /// Size of a component file, in bytes.
    pub component_bytes: u64,
    /// Calls that may run at once.
    pub concurrency: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            time: Duration::from_secs(2),
            // 4,096 endpoints with ten labels each lift to some 4 MiB.
            output_bytes: 32 << 20,
            component_bytes: 4 << 20,
            concurrency: std::thread::available_parallelism().map_or(4, |n| n.get() as u32),
        }
    }
}
