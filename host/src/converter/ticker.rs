//! Counts wasmtime's epochs while a call runs, so that a module which loops is stopped.
//!
//! The thread sleeps while nothing runs: an idle controller wakes for nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::Engine;

/// The length of one epoch.
const TICK: Duration = Duration::from_millis(10);

/// A thread that increments an engine's epoch every [`TICK`] while at least one [`Running`] lives.
pub(super) struct Ticker {
    calls: Arc<Calls>,
    thread: Thread,
}

#[derive(Default)]
struct Calls {
    running: AtomicUsize,
    over: AtomicBool,
}

/// A call in flight.
pub(super) struct Running<'a>(&'a Ticker);

impl Ticker {
    pub(super) fn start(engine: Engine) -> std::io::Result<Self> {
        let calls = Arc::new(Calls::default());
        let seen = Arc::clone(&calls);
        let handle = std::thread::Builder::new().name("wasm-epochs".into()).spawn(move || tick(&engine, &seen))?;
        Ok(Self { calls, thread: handle.thread().clone() })
    }

    pub(super) fn run(&self) -> Running<'_> {
        if self.calls.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.thread.unpark();
        }
        Running(self)
    }

    /// The number of epochs that a call of this length may see. It is one more than fits, since a call starts within an epoch.
    pub(super) fn epochs(time: Duration) -> u64 {
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
        u64::try_from(ticks).unwrap_or(u64::MAX - 1).saturating_add(1)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.calls.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.calls.over.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

fn tick(engine: &Engine, calls: &Calls) {
    while !calls.over.load(Ordering::Acquire) {
        if calls.running.load(Ordering::Acquire) == 0 {
            std::thread::park();
        } else {
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    }
}
