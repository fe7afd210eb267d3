//! Runs conversion modules in a sandbox. The one place that names wasmtime.
//!
//! A module is a WebAssembly component of the world in `wit/converter.wit`. Every call gets a fresh store and instance,
//! with a cap on memory, time and output ([`Limits`]), so that whatever a module does ends as a [`CallError`] for one
//! entry. Calls block: [`LoadedModule::convert`] moves them off the async threads. The modules in use can change at any
//! time; `rollout` does that.

mod bindings;
mod call;
mod census;
mod code;
mod compile_process;
mod contract;
mod error;
mod facts;
mod identity;
mod limits;
mod module;
mod outcome;
mod parameters_file;
mod request;
mod sandbox;
mod ticker;

use std::sync::Arc;

use polaris2istio_core::model::{Entry, ModuleInfo, Outcome, Request, Service};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::source::ModuleBytes;
pub use bindings::PACKAGE;
pub use code::{Call, Code, Compiler};
pub use compile_process::{CompileLimits, VERB as COMPILE_VERB, serve as serve_compiler};
pub use contract::breach;
pub use error::{CallError, LoadError};
pub use facts::Facts;
pub use identity::Identity;
pub use limits::Limits;
pub use parameters_file::{ParametersFile, ParametersFollower, check_key, parse_parameters};
use sandbox::Sandbox;

/// Free parameters that the operator sets for the module, sorted by key.
pub type Parameters = Vec<(String, String)>;

/// A module with its parameters, and the sandbox that it runs in.
pub struct LoadedModule {
    compiler: Arc<dyn Compiler>,
    code: Box<dyn Code>,
    bytes: ModuleBytes,
    parameters: Parameters,
    identity: Arc<Identity>,
    slots: Arc<Semaphore>,
}

impl LoadedModule {
    /// Checks and compiles a module; a fraction of a second for the default one.
    pub fn new(bytes: &ModuleBytes, limits: Limits, parameters: Parameters) -> Result<Self, LoadError> {
        let concurrency = limits.concurrency;
        Self::by(Arc::new(Sandbox::new(limits)?), concurrency, bytes, parameters)
    }

    /// The same by another compiler, with so many calls at once.
    pub fn by(
        compiler: Arc<dyn Compiler>,
        concurrency: u32,
        bytes: &ModuleBytes,
        parameters: Parameters,
    ) -> Result<Self, LoadError> {
        Self::within(compiler, Arc::new(Semaphore::new(concurrency as usize)), bytes, parameters)
    }

    /// Checks and compiles a module in the sandbox of this one, whose limits count for both together.
    pub fn beside(&self, bytes: &ModuleBytes, parameters: Parameters) -> Result<Self, LoadError> {
        Self::within(Arc::clone(&self.compiler), Arc::clone(&self.slots), bytes, parameters)
    }

    fn within(
        compiler: Arc<dyn Compiler>,
        slots: Arc<Semaphore>,
        bytes: &ModuleBytes,
        mut parameters: Parameters,
    ) -> Result<Self, LoadError> {
        parameters.sort();
        let code = Arc::clone(&compiler).compile(bytes)?;
        let identity = Arc::new(Identity::new(bytes.digest, &parameters));
        Ok(Self { compiler, code, bytes: bytes.clone(), parameters, identity, slots })
    }

    /// The module's description of itself.
    pub fn info(&self) -> &ModuleInfo {
        self.code.info()
    }

    /// The identity of this module with its parameters.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The bytes that it was made of.
    pub fn bytes(&self) -> &ModuleBytes {
        &self.bytes
    }

    /// The facts that the module shows without being called.
    pub fn facts(&self) -> &Facts {
        self.code.facts()
    }

    /// The origin of the module.
    pub fn origin(&self) -> &str {
        &self.bytes.origin
    }

    /// Runs the module on one service and one entry, on a thread for blocking work.
    ///
    /// `published` is the content revision that the module gave for the entry's present content.
    pub async fn convert(
        self: &Arc<Self>,
        service: Arc<Service>,
        entry: Arc<Entry>,
        published: Option<String>,
    ) -> Result<Outcome, CallError> {
        let slot = self.slot().await?;
        let module = Arc::clone(self);
        let call = move || {
            // A call goes on if its caller is gone, and so does its slot.
            let _slot = slot;
            module.call(&service, &entry, published.as_deref())
        };
        self.code.run(Box::new(call)).await
    }

    /// Waits for a place in the sandbox: its pool has a fixed number, and waiting here is cheaper than being refused there.
    pub(crate) async fn slot(&self) -> Result<OwnedSemaphorePermit, CallError> {
        let closed =
            |error: tokio::sync::AcquireError| CallError::Host { export: "convert", detail: error.to_string() };
        Arc::clone(&self.slots).acquire_owned().await.map_err(closed)
    }

    /// Runs the module on this thread, for callers that are not async. No more than [`Limits::concurrency`] at once.
    pub fn call(&self, service: &Service, entry: &Entry, published: Option<&str>) -> Result<Outcome, CallError> {
        self.code.convert(service, entry, &self.parameters, published)
    }

    /// Runs the module with a request's own parameters in place of the operator's: for golden cases, which bring theirs.
    pub fn ask(&self, request: &Request) -> Result<Outcome, CallError> {
        let Request { service, entry, parameters, published } = request;
        self.code.convert(service, entry, parameters, published.as_deref())
    }
}
