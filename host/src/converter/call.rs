//! One call of a module: a fresh store, one function, and an error that tells the cause.

use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use polaris2istio_core::model::{Entry, Outcome, Service};

use super::bindings::{ConverterPre, wit};
use super::error::CallError;
use super::outcome;
use super::request::Lowering;
use super::sandbox::{Guest, MemoryExceeded, Sandbox};
use crate::text;

/// How much of a backtrace is kept, in lines and in characters of each.
const FRAMES: usize = 24;
const WIDTH: usize = 200;

/// Checks that the exported functions have the types of the world. wasmtime tells when they are looked up in an instance.
pub(super) fn check_types(sandbox: &Sandbox, pre: &ConverterPre<Guest>) -> Result<(), String> {
    let (mut store, _running) = sandbox.store();
    match pre.instantiate(&mut store) {
        // A trap or a lack of memory ends `describe` too, and is told there.
        Err(error) if !error.is::<Trap>() && !error.is::<MemoryExceeded>() => Err(format!("{error:#}")),
        _ => Ok(()),
    }
}

pub(super) fn describe(sandbox: &Sandbox, pre: &ConverterPre<Guest>) -> Result<wit::ModuleInfo, CallError> {
    let (mut store, _running) = sandbox.store();
    pre.instantiate(&mut store)
        .and_then(|instance| instance.polaris2istio_conversion_conversion().call_describe(&mut store))
        .map_err(|error| classify("describe", &error, sandbox))
}

/// The question to a module.
pub(super) struct Request<'a> {
    pub(super) service: &'a Service,
    pub(super) entry: &'a Entry,
    pub(super) parameters: &'a [(String, String)],
    pub(super) published: Option<&'a str>,
}

pub(super) fn convert(
    sandbox: &Sandbox,
    pre: &ConverterPre<Guest>,
    request: &Request<'_>,
    limit: Option<Duration>,
) -> Result<Outcome, CallError> {
    let Request { service, entry, parameters, published } = *request;
    let lowering = Lowering::new(service, entry, parameters);
    let instances = lowering.instances(service);
    let request = lowering.request(service, &instances, entry, published);
    let limit = limit.filter(|limit| *limit < sandbox.limits.time);
    let (mut store, _running) = match limit {
        Some(limit) => sandbox.brief_store(limit),
        None => sandbox.store(),
    };
    let answer = pre
        .instantiate(&mut store)
        .and_then(|instance| instance.polaris2istio_conversion_conversion().call_convert(&mut store, request))
        .map_err(|error| match classify("convert", &error, sandbox) {
            CallError::TimedOut { .. } if limit.is_some() => CallError::Stopped,
            error => error,
        })?;
    match answer {
        Ok(outcome) => Ok(outcome::lift(outcome)),
        Err(failure) => Err(CallError::Failed { message: text::shown(&failure.message, outcome::MESSAGE) }),
    }
}

fn classify(export: &'static str, error: &wasmtime::Error, sandbox: &Sandbox) -> CallError {
    let limits = &sandbox.limits;
    if let Some(exceeded) = error.downcast_ref::<MemoryExceeded>() {
        return CallError::OutOfMemory { export, wanted: exceeded.wanted, limit: limits.memory_bytes };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError::Host { export, detail: format!("{} calls run already", limits.concurrency) };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return CallError::TimedOut { export, limit: limits.time },
        Some(trap) => return CallError::Trapped { export, detail: trap.to_string(), backtrace: backtrace(error) },
        None => {}
    }
    // wasmtime keeps the type of this error to itself; a test holds its text.
    let text = error.root_cause().to_string();
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return CallError::OutputTooLarge { export, limit: limits.output_bytes };
    }
    CallError::Trapped { export, detail: text::shown(&text, outcome::MESSAGE), backtrace: backtrace(error) }
}

/// The calls that led to a trap, innermost first. Names are the module's words: cut and escaped.
fn backtrace(error: &wasmtime::Error) -> String {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let mut lines: Vec<_> = trace.to_string().lines().take(FRAMES).map(|line| text::shown(line, WIDTH)).collect();
    if trace.frames().iter().all(|frame| frame.func_name().is_none()) {
        lines.push(
            "the module has no names of functions; build it without stripping them (strip = false, no -s)".into(),
        );
    }
    lines.join("\n")
}
