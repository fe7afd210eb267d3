//! The wasmtime engine and the store that every call gets: they put the limits in force.

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, ResourceLimiter, Store};

use super::error::LoadError;
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

/// The data of a store: its memory cap.
pub(super) struct Guest {
    memory_bytes: usize,
}

/// The error with which a growth beyond the cap ends a call.
#[derive(Debug, thiserror::Error)]
#[error("{wanted} bytes of memory wanted")]
pub(super) struct MemoryExceeded {
    pub(super) wanted: usize,
}

/// Memories and tables that one component may be made of. Ours has one of each; a JavaScript guest some adapters more.
const PARTS: u32 = 8;
/// Core instances, likewise: componentize-qjs makes 13, componentize-py 38, most of them stubs without memory.
const INSTANCES: u32 = 64;

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

    /// Compiles a component, by an engine that is gone afterwards: a compiler keeps its working memory, some 25 MiB for the
    /// default module, for as long as its engine lives.
    #[allow(unsafe_code, reason = "deserialising is the only way from one engine to another")]
    pub(super) fn component(&self, bytes: &[u8]) -> wasmtime::Result<Component> {
        let compiled = Engine::new(&config(&self.limits))?.precompile_component(bytes)?;
        // SAFETY: these bytes came from `precompile_component` of this same wasmtime a moment ago, were held nowhere else, and
        // the two engines have one configuration.
        unsafe { Component::deserialize(&self.engine, compiled) }
    }

    /// A fresh store with its deadline running from now.
    pub(super) fn store(&self) -> (Store<Guest>, Running<'_>) {
        let running = self.ticker.run();
        let mut store = Store::new(&self.engine, Guest { memory_bytes: self.limits.memory_bytes });
        store.limiter(|guest| guest);
        store.set_epoch_deadline(Ticker::epochs(self.limits.time));
        store.set_hostcall_fuel(self.limits.output_bytes);
        (store, running)
    }
}

fn config(limits: &Limits) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    // One more than the calls at once: a candidate is asked to describe itself while all others are in use.
    let places = limits.concurrency + 1;
    pool.total_component_instances(places)
        .total_core_instances(places * INSTANCES)
        .total_memories(places * PARTS)
        .total_tables(places * PARTS)
        .max_core_instances_per_component(INSTANCES)
        .max_memories_per_component(PARTS)
        .max_tables_per_component(PARTS)
        .max_memory_size(limits.memory_bytes)
        // Wiped between calls, and not given back: a fault for every page costs a fifth of a call with a thousand instances,
        // and half of one with ten.
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        // Places of the previous module are not kept warm beside those of the module in use.
        .max_unused_warm_slots(places)
        // From Linux 6.7 on, the kernel tells which pages there are to wipe.
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .max_wasm_stack(512 << 10);
    config
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        // Refusing with `false` would let a guest go on with a null pointer; an error ends the call and says why.
        if desired > self.memory_bytes { Err(MemoryExceeded { wanted: desired }.into()) } else { Ok(true) }
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 20_000)
    }
}
