//! The wasmtime engine and the store that every call gets: they put the limits in force.

use std::time::{Duration, Instant};

use rustix::time::ClockId;
use wasmtime::component::{Component, Linker};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, ResourceLimiter, Store, Trap,
    UpdateDeadline,
};

use super::census::{INSTANCES, MEMORIES};
use super::compile_process::{self, CompileError};
use super::error::LoadError;
use super::lanes::places;
use super::limits::Limits;
use super::ticker::{Running, Ticker};

/// An engine with its limits. Modules are compiled for it, and calls run in it.
pub(super) struct Sandbox {
    pub(super) engine: Engine,
    /// Empty: a module may import nothing.
    pub(super) linker: Linker<Guest>,
    pub(super) limits: Limits,
    ticker: Ticker,
}

/// The data of a store: its cap on memory, and the part of it that all memories and tables have together.
pub(super) struct Guest {
    memory_bytes: usize,
    used: usize,
}

/// The error with which a growth beyond the cap ends a call.
#[derive(Debug, thiserror::Error)]
#[error("{wanted} bytes of memory wanted")]
pub(super) struct MemoryExceeded {
    pub(super) wanted: usize,
}

/// The host memory of one element of a table, in bytes.
const ELEMENT: usize = 16;

/// The part of a memory that is kept from call to call, in bytes: most of the need of a thousand instances, for each call
/// that ran at once.
const KEPT_MEMORY: usize = 1 << 20;
/// The part of a table that is kept, in bytes: one page, which is all that the default module has.
const KEPT_TABLE: usize = 4 << 10;

impl Sandbox {
    pub(super) fn new(limits: Limits) -> Result<Self, LoadError> {
        let refused = |detail: String| LoadError::Sandbox { detail };
        let engine = Engine::new(&config(&limits)).map_err(|error| refused(format!("{error:#}")))?;
        let ticker = Ticker::start(engine.clone()).map_err(|error| refused(error.to_string()))?;
        Ok(Self { linker: Linker::new(&engine), engine, limits, ticker })
    }

    /// Compiles a component: ours here, any other in a process of its own, if there is a program for it.
    pub(super) fn component(&self, bytes: &[u8], is_ours: bool) -> Result<Component, CompileError> {
        let limits = &self.limits.compile;
        let compiled = match &limits.program {
            Some(program) if !is_ours => compile_process::compile(program, limits, bytes)?,
            _ => compile_process::translate(bytes).map_err(|error| CompileError::Invalid(format!("{error:#}")))?,
        };
        self.take(&compiled).map_err(|error| CompileError::Invalid(format!("{error:#}")))
    }

    #[allow(unsafe_code, reason = "deserialising is the only way from one engine to another")]
    fn take(&self, compiled: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: these bytes came from `precompile_component` of this same wasmtime a moment ago, by this program in this process
        // or in one that it started, and were held nowhere else; both engines compile alike.
        unsafe { Component::deserialize(&self.engine, compiled) }
    }

    /// A fresh store with its deadline running from now.
    pub(super) fn store(&self) -> (Store<Guest>, Running<'_>) {
        let running = self.ticker.run();
        let mut store = Store::new(&self.engine, Guest { memory_bytes: self.limits.memory_bytes, used: 0 });
        store.limiter(|guest| guest);
        store.set_epoch_deadline(Ticker::epochs(self.limits.time));
        store.set_hostcall_fuel(self.limits.output_bytes);
        (store, running)
    }
    /// A fresh store for a call that may use so much processor time, and ten times as long by the clock: the machine may be busy
    /// with others.
    pub(super) fn brief_store(&self, limit: Duration) -> (Store<Guest>, Running<'_>) {
        let (mut store, running) = self.store();
        store.set_epoch_deadline(1);
        let (begun, used) = (Instant::now(), processor_time());
        store.epoch_deadline_callback(move |_| {
            let is_over = processor_time().saturating_sub(used) >= limit || begun.elapsed() >= limit * 10;
            if is_over { Err(Trap::Interrupt.into()) } else { Ok(UpdateDeadline::Continue(1)) }
        });
        (store, running)
    }
}

/// The processor time of this thread.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn config(limits: &Limits) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    // Two more than the calls at once: a candidate describes itself, and another is compared, while all others are in use.
    let places = places(limits.concurrency) + 2;
    pool.total_component_instances(places)
        .total_core_instances(places * INSTANCES)
        .total_memories(places * MEMORIES)
        .total_tables(places * MEMORIES)
        .max_core_instances_per_component(INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(MEMORIES)
        .max_memory_size(limits.memory_bytes)
        // Wiped between calls, and not given back: a fault for every page costs a fifth of a call with a thousand instances,
        // and half of one with ten.
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        // Places of the previous module are not kept warm beside those of the module in use.
        .max_unused_warm_slots(places)
        // From Linux 6.7 on, the kernel tells which pages there are to wipe.
        .pagemap_scan(Enabled::Auto);
    let mut config = code();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// The part of the configuration that code is compiled for. An engine that only compiles has no pool, and is gone afterwards: a
/// compiler keeps its working memory, some 25 MiB for the default module, for as long as its engine lives.
pub(super) fn code() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true).max_wasm_stack(512 << 10);
    config
}

impl Guest {
    /// Counts what a memory or table gains.
    fn grow(&mut self, current: usize, desired: usize) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_bytes {
            // Refusing with `false` would let a guest go on with a null pointer; an error ends the call and says why.
            return Err(MemoryExceeded { wanted }.into());
        }
        self.used = wanted;
        Ok(true)
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(current, desired)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 20_000 && self.grow(current * ELEMENT, desired * ELEMENT)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_count_together() {
        let mut guest = Guest { memory_bytes: 100_000, used: 0 };
        assert!(guest.memory_growing(0, 60_000, None).unwrap());
        assert!(guest.memory_growing(60_000, 70_000, None).unwrap());
        assert!(guest.table_growing(0, 1_000, None).unwrap());
        let error = guest.memory_growing(0, 20_000, None).unwrap_err();
        assert_eq!(error.to_string(), "106000 bytes of memory wanted");
        let error = guest.table_growing(1_000, 2_000, None).unwrap_err();
        assert_eq!(error.to_string(), "102000 bytes of memory wanted");
        assert!(guest.memory_growing(0, 14_000, None).unwrap());
    }
}
