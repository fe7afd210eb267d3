//! The binary: reads the command line and does what it says.

use std::process::ExitCode;

use polaris2istio::cli::Cli;

fn main() -> ExitCode {
    give_memory_back();
    forbid_core_dumps();
    match Cli::read().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A dump of memory would hold tokens and keys. Both, as a limit of size means nothing where dumps go to a program. What this
/// costs: a debugger needs the capability SYS_PTRACE.
fn forbid_core_dumps() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let limit = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if let Err(error) = limit.and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable)) {
        eprintln!("warning: core dumps could not be forbidden ({error}); one would hold tokens and keys");
    }
}

/// Makes glibc return what is freed: compiling a module takes some 20 MiB for a fraction of a second, and what a thread
/// freed is of no use to the others.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "the C library has no safe interface to this")]
fn give_memory_back() {
    // SAFETY: it sets two tunables of the allocator, before there is a second thread. A value that it does not take is ignored.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

#[cfg(not(target_env = "gnu"))]
fn give_memory_back() {}
