//! The errors of a module: when it is loaded, and when it is called.
//!
//! Each text names the module, the problem and the remedy, since its reader may not have written the module.

use std::time::Duration;

/// The reasons for refusing a component.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is larger than allowed.
    #[error(
        "module {module}: {size} bytes, more than the {limit} allowed; build it for size (opt-level \"s\", strip), or raise --module-max-size"
    )]
    TooLarge {
        /// The origin of the module.
        module: String,
        /// Bytes that it has.
        size: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// The bytes are not WebAssembly at all.
    #[error("module {module}: not WebAssembly ({found}); give the .wasm file that the component's build wrote")]
    NotWasm {
        /// The origin of the module.
        module: String,
        /// The content that is there instead.
        found: String,
    },
    /// A core module, not a component.
    #[error(
        "module {module}: a core WebAssembly module, not a component; wrap it with `wasm-tools component new`, or build it with the toolchain's component target"
    )]
    CoreModule {
        /// The origin of the module.
        module: String,
    },
    #[error("module {module}: not a valid component: {detail}; build it again, or check that it was copied whole")]
    Invalid {
        /// The origin of the module.
        module: String,
        detail: String,
    },
    /// It has functions of the component model's async, which no call here could wait for.
    #[error(
        "module {module}: it is built with the component model's async: {detail}; build it without (componentize-qjs: --sync; bindings: functions that are not async)"
    )]
    Async {
        /// The origin of the module.
        module: String,
        detail: String,
    },
    /// It asks for more memory than a call may have, before it has begun.
    #[error(
        "module {module}: wants more memory from the start than the {limit} bytes allowed: {detail}; build it with a smaller initial memory, or raise --module-memory"
    )]
    Oversized {
        /// The origin of the module.
        module: String,
        /// Bytes that it may have.
        limit: usize,
        /// The message of wasmtime.
        detail: String,
    },
    /// It has more of some part than any program that people write.
    #[error(
        "module {module}: {found} {part}, more than the {limit} allowed; this is no file that a compiler made from a program"
    )]
    Excessive {
        /// The origin of the module.
        module: String,
        /// The part, in the plural.
        part: &'static str,
        found: u64,
        limit: u64,
    },
    /// The compiler was ended by the limit on its time.
    #[error(
        "module {module}: compiling it took more than {limit:?} of a processor; make it smaller (opt-level \"s\", fewer dependencies), or raise --module-compile-time"
    )]
    CompilerTime {
        /// The origin of the module.
        module: String,
        /// Processor time that it had.
        limit: Duration,
    },
    /// The compiler was ended by the limit on its memory.
    #[error(
        "module {module}: compiling it took more than {limit} bytes of memory; make it smaller (opt-level \"s\", fewer dependencies), or raise --module-compile-memory together with the memory of the pod"
    )]
    CompilerMemory {
        /// The origin of the module.
        module: String,
        /// Bytes that it had.
        limit: u64,
    },
    /// The compiler did not run, or broke down.
    #[error(
        "module {module}: cannot be compiled: {detail}; it is compiled in a process of its own, started from /proc/self/exe, which must be there"
    )]
    Compiler {
        /// The origin of the module.
        module: String,
        detail: String,
    },
    /// The component wants something from the host.
    #[error(
        "module {module}: imports {}, but a module of the world polaris2istio:conversion/converter may import nothing; build it without WASI (target wasm32-unknown-unknown, or stub the imports)",
        .imports.join(", ")
    )]
    Imports {
        /// The origin of the module.
        module: String,
        /// The names of its imports.
        imports: Vec<String>,
    },
    /// A component of another world or version.
    #[error(
        "module {module}: {detail}; build it against the world `converter` of {}, which `polaris2istio module wit` prints",
        super::bindings::PACKAGE
    )]
    WrongWorld {
        /// The origin of the module.
        module: String,
        /// The part that is missing or differs.
        detail: String,
    },
    /// It does not answer `describe`.
    #[error("module {module}: does not answer `describe`: {source}")]
    Describe {
        /// The origin of the module.
        module: String,
        /// The error of the call.
        source: CallError,
    },
    /// The sandbox itself could not be set up.
    #[error(
        "the WebAssembly sandbox cannot be set up: {detail}; check the memory limits of this process (ulimit -v must be unlimited)"
    )]
    Sandbox {
        /// The message of wasmtime.
        detail: String,
    },
}

/// The reasons why a call gave no outcome. The entry's last endpoints stay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It ran past its time.
    #[error("`{export}` ran longer than {limit:?} and was stopped; make the module quicker, or raise --module-timeout")]
    TimedOut {
        export: &'static str,
        /// The time that it had.
        limit: Duration,
    },
    /// It was not done within the brief time of its lane. It is begun anew in another one, so nobody is told.
    #[error("`convert` was stopped to make room for others, and is begun anew")]
    Stopped,
    /// It takes long, and so do others that are before it. It is tried again soon.
    #[error("`convert` waits for its turn among the calls that take long; make the module quicker")]
    Busy,
    /// It asked for more memory than it may have.
    #[error(
        "`{export}` wanted {wanted} bytes of memory, more than the {limit} allowed; make the module leaner, or raise --module-memory"
    )]
    OutOfMemory {
        export: &'static str,
        /// Bytes that it would have had.
        wanted: usize,
        /// Bytes that it may have.
        limit: usize,
    },
    /// Its result is larger than the host takes.
    #[error("`{export}` gave a result of more than {limit} bytes; make it return less, or raise --module-max-output")]
    OutputTooLarge {
        export: &'static str,
        /// Bytes that a result may have.
        limit: usize,
    },
    /// It trapped: a panic, an abort, an access out of bounds, a result that breaks the component model's rules.
    #[error(
        "`{export}` trapped: {detail}; this is a defect of the module (a panic's own text cannot leave the sandbox)"
    )]
    Trapped {
        export: &'static str,
        /// The kind and place of the trap.
        detail: String,
        /// The calls in the module that led there, as far as it has names for them. Not part of the text: for its author.
        backtrace: String,
    },
    /// It says that nothing changed since its last outcome, but it gave none.
    #[error("`convert` answers `unchanged` without having been told what is published; this is a defect of the module")]
    Unasked,
    /// It said itself that it cannot convert.
    #[error("`convert` failed: {message}")]
    Failed {
        /// The module's own words.
        message: String,
    },
    /// The host could not run it.
    #[error("`{export}` could not be run: {detail}")]
    Host {
        export: &'static str,
        /// The cause, in words.
        detail: String,
    },
}

impl CallError {
    /// The error for whoever works on the module: with the calls that led to a trap.
    pub fn with_backtrace(&self) -> String {
        match self {
            Self::Trapped { backtrace, .. } if !backtrace.is_empty() => format!("{self}\n{backtrace}"),
            _ => self.to_string(),
        }
    }
}
