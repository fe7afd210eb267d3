//! The limits on what a module may use of the machine in one call.
//!
//! A module is foreign code: each limit turns one kind of misbehaviour into an error for one entry, which would otherwise
//! be the end of the controller.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::compile_process::CompileLimits;

/// Calls at once on a large machine: each may use all of its memory, and the pod's limit does not grow with the processors.
const AT_ONCE: u32 = 4;

/// The limits of one call, and of a component file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All memories and tables of an instance together, in bytes.
    pub memory_bytes: usize,
    /// Wall-clock time of a call.
    pub time: Duration,
    /// Host memory for a result, in bytes (wasmtime's hostcall fuel).
    pub output_bytes: usize,
    /// Size of a component file, in bytes.
    pub component_bytes: u64,
    /// Compiling a component that is not the embedded one.
    pub compile: CompileLimits,
    /// Calls that may run at once: one per processor, but 4 at most by default.
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
            compile: CompileLimits::default(),
            concurrency: at_once(std::thread::available_parallelism().map_or(usize::MAX, NonZeroUsize::get)),
        }
    }
}

fn at_once(processors: usize) -> u32 {
    u32::try_from(processors).map_or(AT_ONCE, |processors| processors.min(AT_ONCE))
}

#[cfg(test)]
mod tests {
    use super::at_once;

    #[test]
    fn a_large_machine_means_no_larger_need_of_memory() {
        for (processors, calls) in [(1, 1), (2, 2), (4, 4), (5, 4), (96, 4), (usize::MAX, 4)] {
            assert_eq!(at_once(processors), calls, "{processors}");
        }
    }
}
