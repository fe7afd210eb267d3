//! The binary: reads the command line and does what it says.

use std::process::ExitCode;

use polaris2istio::cli::Cli;

fn main() -> ExitCode {
    give_memory_back();
    forbid_core_dumps();
    match Cli::read().execute() {
        Ok(code) => code,
        // Whoever reads the output has read enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", told_once(&error));
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind =
        |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    error.chain().any(|cause| kind(cause) == Some(std::io::ErrorKind::BrokenPipe))
}

/// An error with its causes, but for those that it repeats itself.
fn told_once(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
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
