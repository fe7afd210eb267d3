//! Runs conversion modules in a sandbox. The one place that names wasmtime.
//!
//! A module is a WebAssembly component of the world in `wit/converter.wit`. Every call gets a fresh store and instance,
//! with a cap on memory, time and output ([`Limits`]), so that whatever a module does ends as a [`CallError`] for one
//! entry. Calls block: [`Converter::convert`] moves them off the async threads.

mod bindings;
mod call;
mod error;
mod facts;
mod limits;
mod module;
mod outcome;
mod request;
mod sandbox;
pub mod source;
mod ticker;

use std::sync::Arc;

use polaris2istio_core::model::{Entry, ModuleInfo, Outcome, Request, Service};
use tokio::sync::Semaphore;

pub use error::{CallError, LoadError};
pub use facts::Facts;
pub use limits::Limits;
use module::Module;
pub use module::PACKAGE;
use sandbox::Sandbox;
use source::{Candidate, Digest};

/// Free parameters that the operator sets for the module, sorted by key.
pub type Parameters = Vec<(String, String)>;

/// The module in use, and the sandbox that it runs in.
pub struct Converter {
    sandbox: Sandbox,
    module: Module,
    parameters: Parameters,
    slots: Arc<Semaphore>,
}

impl Converter {
    /// Checks and compiles a module; a fraction of a second for the default one.
    pub fn new(candidate: &Candidate, limits: Limits, mut parameters: Parameters) -> Result<Self, LoadError> {
        parameters.sort();
        let slots = Arc::new(Semaphore::new(limits.concurrency as usize));
        let sandbox = Sandbox::new(limits)?;
        let module = Module::compile(&sandbox, candidate)?;
        Ok(Self { sandbox, module, parameters, slots })
    }

    /// What the module in use says of itself.
    pub fn info(&self) -> &ModuleInfo {
        &self.module.info
    }

    /// The digest of the module in use.
    pub fn digest(&self) -> Digest {
        self.module.facts.digest
    }

    /// What shows of the module in use without calling it.
    pub fn facts(&self) -> &Facts {
        &self.module.facts
    }

    /// Where the module in use came from.
    pub fn origin(&self) -> &str {
        &self.module.origin
    }

    /// Runs the module on one service and one entry, on a thread for blocking work.
    ///
    /// `published` is the content revision that the module gave for what the entry still holds.
    pub async fn convert(
        self: &Arc<Self>,
        service: Arc<Service>,
        entry: Entry,
        published: Option<String>,
    ) -> Result<Outcome, CallError> {
        let host = |detail: String| CallError::Host { export: "convert", detail };
        // The pool has a fixed number of slots: waiting here is cheaper than being refused there.
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|error| host(error.to_string()))?;
        let converter = Arc::clone(self);
        let call = move || {
            // A call goes on when whoever waited for it is gone, and so does its slot.
            let _slot = slot;
            converter.call(&service, &entry, published.as_deref())
        };
        tokio::task::spawn_blocking(call).await.map_err(|error| host(error.to_string()))?
    }

    /// The same on this thread, for callers that are not async. No more than [`Limits::concurrency`] at once.
    pub fn call(&self, service: &Service, entry: &Entry, published: Option<&str>) -> Result<Outcome, CallError> {
        call::convert(&self.sandbox, &self.module.pre, service, entry, &self.parameters, published)
    }

    /// One call with a request's own parameters in place of the operator's: for golden cases, which bring theirs along.
    pub fn ask(&self, request: &Request) -> Result<Outcome, CallError> {
        let Request { service, entry, parameters, published } = request;
        call::convert(&self.sandbox, &self.module.pre, service, entry, parameters, published.as_deref())
    }
}
