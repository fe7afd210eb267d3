//! Runs conversion modules in a sandbox. The one place that names wasmtime.
//!
//! A module is a WebAssembly component of the world in `wit/converter.wit`. Every call gets a fresh store and instance,
//! with a cap on memory, time and output ([`Limits`]), so that whatever a module does ends as a [`CallError`] for one
//! entry. Calls block: [`LoadedModule::convert`] moves them off the async threads. The modules in use can change at any
//! time; `rollout` does that.

mod aside;
mod bindings;
mod call;
mod census;
mod code;
mod compile_process;
mod contract;
mod error;
mod facts;
mod identity;
mod lanes;
mod limits;
mod module;
mod outcome;
mod pace;
mod parameters_file;
mod request;
mod sandbox;
mod ticker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use polaris2istio_core::model::{Entry, ModuleInfo, Outcome, Request, Service};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio::time::timeout;

use crate::hash::hash;
use crate::source::ModuleBytes;
pub(crate) use aside::aside;
pub use bindings::PACKAGE;
pub use code::{Call, Code, Compiler};
pub use compile_process::{CompileLimits, VERB as COMPILE_VERB, serve as serve_compiler};
pub use contract::breach;
pub use error::{CallError, LoadError};
pub use facts::Facts;
pub use identity::Identity;
pub use lanes::Lane;
use lanes::Lanes;
pub use limits::Limits;
use pace::Pace;
pub use parameters_file::{ParametersFile, ParametersFollower, check_key, parse_parameters};
use sandbox::Sandbox;

/// How long a call waits for a place among those that take long.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Free parameters that the operator sets for the module, sorted by key.
pub type Parameters = Vec<(String, String)>;

/// A module with its parameters, and the sandbox that it runs in.
pub struct LoadedModule {
    compiler: Arc<dyn Compiler>,
    code: Box<dyn Code>,
    bytes: ModuleBytes,
    parameters: Parameters,
    identity: Arc<Identity>,
    lanes: Arc<Lanes>,
    pace: Pace,
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
        Self::within(compiler, Arc::new(Lanes::new(concurrency)), bytes, parameters)
    }

    /// Checks and compiles a module in the sandbox of this one, whose limits count for both together.
    pub fn beside(&self, bytes: &ModuleBytes, parameters: Parameters) -> Result<Self, LoadError> {
        Self::within(Arc::clone(&self.compiler), Arc::clone(&self.lanes), bytes, parameters)
    }

    fn within(
        compiler: Arc<dyn Compiler>,
        lanes: Arc<Lanes>,
        bytes: &ModuleBytes,
        mut parameters: Parameters,
    ) -> Result<Self, LoadError> {
        parameters.sort();
        let code = Arc::clone(&compiler).compile(bytes)?;
        let identity = Arc::new(Identity::new(bytes.digest, &parameters));
        Ok(Self { compiler, code, bytes: bytes.clone(), parameters, identity, lanes, pace: Pace::default() })
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
        let input = hash((&entry.namespace, &entry.name, &service.revision, published.is_some()));
        let mut lane = self.pace.lane(input);
        loop {
            let place = self.lanes.place(lane);
            let place = match lane {
                Lane::Quick => place.await,
                // The entry may have news meanwhile, which are not to wait for this.
                Lane::Doubtful | Lane::Slow => timeout(PATIENCE, place).await.map_err(|_| CallError::Busy)?,
            };
            let place = place.map_err(|error| closed(&error))?;
            let (module, limit) = (Arc::clone(self), self.pace.limit(lane));
            let (service, entry, published) = (Arc::clone(&service), Arc::clone(&entry), published.clone());
            let call = move || {
                // A call goes on if its caller is gone, and so does its place.
                let _place = place;
                let begun = Instant::now();
                let result = module.code.convert(&service, &entry, &module.parameters, published.as_deref(), limit);
                module.note_call(input, lane, begun.elapsed(), &result);
                result
            };
            match self.code.run(lane, Box::new(call)).await {
                Err(CallError::Stopped) => lane = lane.next(),
                result => return result,
            }
        }
    }

    /// Notes the lane into which an input belongs after a call.
    fn note_call(&self, input: u64, lane: Lane, took: Duration, result: &Result<Outcome, CallError>) {
        match result {
            Err(CallError::Stopped) => self.pace.note_lane(input, lane.next()),
            Err(CallError::TimedOut { .. }) => self.pace.note_lane(input, Lane::Slow),
            _ => {
                self.pace.note_call(took);
                let is_quick = self.pace.limit(Lane::Quick).is_none_or(|limit| took < limit);
                self.pace.note_lane(input, if is_quick { Lane::Quick } else { lane });
            }
        }
    }

    /// Waits until no other comparison of this sandbox runs: each call of one has a place beside those of [`Self::convert`].
    pub(crate) async fn aside(&self) -> Result<OwnedSemaphorePermit, CallError> {
        self.lanes.aside().await.map_err(|error| closed(&error))
    }

    /// Runs the module on this thread, for callers that are not async. No more than [`Limits::concurrency`] at once.
    pub fn call(&self, service: &Service, entry: &Entry, published: Option<&str>) -> Result<Outcome, CallError> {
        self.code.convert(service, entry, &self.parameters, published, None)
    }

    /// Runs the module with a request's own parameters in place of the operator's: for golden cases, which bring theirs.
    pub fn ask(&self, request: &Request) -> Result<Outcome, CallError> {
        let Request { service, entry, parameters, published } = request;
        self.code.convert(service, entry, parameters, published.as_deref(), None)
    }
}

fn closed(error: &AcquireError) -> CallError {
    CallError::Host { export: "convert", detail: error.to_string() }
}
