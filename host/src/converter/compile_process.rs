//! Compiles foreign modules in a process of their own, with limits that the kernel keeps: 84 KB can take a compiler two minutes,
//! and 4 MB five gigabytes, and no count of a file's parts foretells that. The controller waits beside it, and feels nothing.
//!
//! The process is this same program with a hidden verb. It gets the component on standard input, no environment, and its limits
//! as arguments, which it sets before it reads anything.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use wasmtime::Engine;

use super::sandbox;

/// The verb of the command line that calls [`serve`].
pub const VERB: &str = "compile-module";
/// The exit code for bytes that are no valid component; standard error has the reason.
const INVALID: u8 = 65;
/// The exit code for a time that was up by the clock.
const LATE: i32 = 75;
/// The time by the clock, in times of the processor's: the process gives way to all others.
const PATIENCE: u32 = 6;
/// Address space beyond the memory: the program itself, its libraries, and what is only reserved.
const RESERVED: u64 = 1 << 30;
/// The longest reason that is shown, in bytes.
const REASON: usize = 2_000;

/// The limits on compiling a module that is not the embedded one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Memory of the compiler, in bytes.
    pub memory_bytes: u64,
    /// Processor time of the compiler; whole seconds count.
    pub time: Duration,
    /// The program that has the verb [`VERB`]. `None` compiles in this process, without these limits: for tests and benchmarks of
    /// modules that are theirs.
    pub program: Option<PathBuf>,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { memory_bytes: 192 << 20, time: Duration::from_secs(20), program: None }
    }
}

/// The reasons for having no compiled module.
#[derive(Debug)]
pub(super) enum CompileError {
    /// The bytes are no valid component.
    Invalid(String),
    Memory,
    Time,
    /// The compiler could not be run, or broke.
    Broken(String),
}

/// Compiles a component by `program`, within the limits.
pub(super) fn compile(program: &Path, limits: &CompileLimits, bytes: &[u8]) -> Result<Vec<u8>, CompileError> {
    let broken = |error: std::io::Error| CompileError::Broken(format!("{}: {error}", program.display()));
    let mut child = start(program, limits).map_err(broken)?;
    let (compiled, reason) = exchange(&mut child, limits, bytes);
    let status = child.wait().map_err(broken)?;
    match cause(status, reason) {
        None => compiled.map_err(broken),
        Some(error) => Err(error),
    }
}

fn start(program: &Path, limits: &CompileLimits) -> std::io::Result<Child> {
    Command::new(program)
        .arg(VERB)
        .arg(limits.memory_bytes.to_string())
        .arg(limits.time.as_secs().max(1).to_string())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Writes the component, and reads what becomes of it and why it does not. None of the three can wait for the others for ever: each
/// pipe has a thread, and the process an end.
fn exchange(child: &mut Child, limits: &CompileLimits, bytes: &[u8]) -> (std::io::Result<Vec<u8>>, String) {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A process that was ended reads no further, and its status says why.
            let _ = stdin.map(|mut stdin| stdin.write_all(bytes));
        });
        let reason = scope.spawn(move || {
            let mut reason = Vec::new();
            let mut stderr = stderr.map(|stderr| stderr.take(REASON as u64));
            let _ = stderr.as_mut().map(|stderr| stderr.read_to_end(&mut reason));
            String::from_utf8_lossy(&reason).trim().to_owned()
        });
        let mut compiled = Vec::new();
        // More than it may have in memory cannot come of it.
        let read = stdout.map_or(Ok(0), |stdout| stdout.take(limits.memory_bytes).read_to_end(&mut compiled));
        (read.map(|_| compiled), reason.join().unwrap_or_default())
    })
}

/// Why the process ended without a module, if it did.
fn cause(status: ExitStatus, reason: String) -> Option<CompileError> {
    let signal = |signal: Signal| status.signal() == Some(signal.as_raw());
    if status.success() {
        None
    } else if status.code() == Some(INVALID.into()) {
        Some(CompileError::Invalid(reason))
    } else if status.code() == Some(LATE) || signal(Signal::XCPU) {
        Some(CompileError::Time)
    } else if signal(Signal::ABORT) || signal(Signal::KILL) {
        // Rust's allocator aborts when it gets nothing; the kernel kills when the pod has nothing left.
        Some(CompileError::Memory)
    } else {
        Some(CompileError::Broken(format!("the compiler ended with {status}: {reason}")))
    }
}

/// Carries out [`VERB`]: compiles the component on standard input to standard output.
pub fn serve(memory_bytes: u64, seconds: u64) -> ExitCode {
    match limit(memory_bytes, seconds).and_then(|()| work()) {
        Ok(Ok(compiled)) => match std::io::stdout().write_all(&compiled) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Ok(Err(reason)) => {
            eprintln!("{}", &reason[..reason.floor_char_boundary(REASON)]);
            ExitCode::from(INVALID)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Puts the limits in force for this process.
fn limit(memory_bytes: u64, seconds: u64) -> std::io::Result<()> {
    let set = |resource, current: u64, maximum: u64| {
        setrlimit(resource, Rlimit { current: Some(current), maximum: Some(maximum) })
    };
    set(Resource::Data, memory_bytes, memory_bytes)?;
    set(Resource::As, memory_bytes + RESERVED, memory_bytes + RESERVED)?;
    // A second more ends it for good, should the first signal not.
    set(Resource::Cpu, seconds, seconds + 1)?;
    // Who waits for the module is gone.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::process::nice(10)?;
    let patience = Duration::from_secs(seconds) * PATIENCE;
    std::thread::Builder::new().stack_size(64 << 10).spawn(move || {
        std::thread::sleep(patience);
        std::process::exit(LATE);
    })?;
    Ok(())
}

fn work() -> std::io::Result<Result<Vec<u8>, String>> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(translate(&bytes).map_err(|error| format!("{error:#}")))
}

/// Compiles a component in this process.
pub(super) fn translate(bytes: &[u8]) -> wasmtime::Result<Vec<u8>> {
    Engine::new(&sandbox::code())?.precompile_component(bytes)
}
