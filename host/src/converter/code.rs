//! What a loaded module is made of: code that was checked and can be called, and the compiler that it comes from.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use polaris2istio_core::model::{Entry, ModuleInfo, Outcome, Service};

use super::aside::aside;
use super::call;
use super::error::{CallError, LoadError};
use super::facts::Facts;
use super::lanes::Lane;
use super::module::Module;
use super::sandbox::Sandbox;
use crate::source::ModuleBytes;

/// A call that is to be made.
pub type Call = Box<dyn FnOnce() -> Result<Outcome, CallError> + Send>;

/// Code that was checked and compiled, ready to be called any number of times.
pub trait Code: Send + Sync + 'static {
    /// The module's description of itself.
    fn info(&self) -> &ModuleInfo;

    /// The facts that it shows without being called.
    fn facts(&self) -> &Facts;

    /// Has a call made where it may take its time.
    fn run(&self, lane: Lane, call: Call) -> BoxFuture<'static, Result<Outcome, CallError>>;

    /// Makes one call, on this thread, with a limit of processor time that is shorter than the one that all calls have, or without.
    ///
    /// # Errors
    ///
    /// It gave no outcome.
    fn convert(
        &self,
        service: &Service,
        entry: &Entry,
        parameters: &[(String, String)],
        published: Option<&str>,
        limit: Option<Duration>,
    ) -> Result<Outcome, CallError>;
}

/// Checks and compiles modules.
pub trait Compiler: Send + Sync + 'static {
    /// Compiles one; a fraction of a second for the default one.
    ///
    /// # Errors
    ///
    /// It is no module of ours.
    fn compile(self: Arc<Self>, bytes: &ModuleBytes) -> Result<Box<dyn Code>, LoadError>;
}

/// A component in its sandbox.
struct Sandboxed {
    sandbox: Arc<Sandbox>,
    module: Module,
}

impl Compiler for Sandbox {
    fn compile(self: Arc<Self>, bytes: &ModuleBytes) -> Result<Box<dyn Code>, LoadError> {
        let module = Module::compile(&self, bytes)?;
        Ok(Box::new(Sandboxed { sandbox: self, module }))
    }
}

impl Code for Sandboxed {
    fn info(&self) -> &ModuleInfo {
        &self.module.info
    }

    fn facts(&self) -> &Facts {
        &self.module.facts
    }

    fn run(&self, lane: Lane, call: Call) -> BoxFuture<'static, Result<Outcome, CallError>> {
        let host = |detail: String| CallError::Host { export: "convert", detail };
        if lane != Lane::Quick {
            return Box::pin(async move { aside(call).await.map_err(host)? });
        }
        let call = tokio::task::spawn_blocking(call);
        Box::pin(async move { call.await.map_err(|error| host(error.to_string()))? })
    }

    fn convert(
        &self,
        service: &Service,
        entry: &Entry,
        parameters: &[(String, String)],
        published: Option<&str>,
        limit: Option<Duration>,
    ) -> Result<Outcome, CallError> {
        let request = call::Request { service, entry, parameters, published };
        call::convert(&self.sandbox, &self.module.pre, &request, limit)
    }
}
