//! The modules of the simulation: the rules of `core`, natively, and rules that were spoilt.
//!
//! Natively, since the sandbox is proven elsewhere and a component takes a thousand times as long to load. Everything else of
//! a module is as ever: its bytes, its digest, its parameters, and who decides on it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use polaris2istio::converter::{
    Call, CallError, Code, Compiler, Facts, Lane, Limits, LoadError, LoadedModule, Parameters,
};
use polaris2istio::source::ModuleBytes;
use polaris2istio_core::model::{Entry, ModuleInfo, Outcome, Request, Service, Verdict};

/// What a module does with the outcome of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Nothing.
    Sound,
    /// Nothing, as another release of the same.
    Other,
    /// It traps where a service lists nothing.
    TrapsOnEmpty,
    /// It leaves out every second endpoint.
    DropsHalf,
    /// It fails for every input.
    Fails,
}

impl Habit {
    pub(crate) const ALL: [Self; 5] = [Self::Sound, Self::Other, Self::TrapsOnEmpty, Self::DropsHalf, Self::Fails];

    /// The bytes of a module that does so.
    pub(crate) fn bytes(self) -> ModuleBytes {
        ModuleBytes::new(format!("{self:?}").into_bytes(), format!("module {self:?}"))
    }

    fn read(bytes: &ModuleBytes) -> Option<Self> {
        Self::ALL.into_iter().find(|habit| habit.bytes().digest == bytes.digest)
    }

    pub(crate) fn convert(self, request: &Request) -> Result<Outcome, CallError> {
        let trapped =
            || CallError::Trapped { export: "convert", detail: "unreachable".into(), backtrace: String::new() };
        if self == Self::Fails || (self == Self::TrapsOnEmpty && request.service.instances.is_empty()) {
            return Err(trapped());
        }
        let failed = |failure: polaris2istio_core::model::Failure| CallError::Failed { message: failure.message };
        let mut outcome = polaris2istio_core::convert(request).map_err(failed)?;
        if self == Self::DropsHalf
            && let Verdict::Update(update) = &mut outcome.verdict
        {
            let mut number = 0;
            update.endpoints.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            update.content_revision = None;
        }
        Ok(outcome)
    }
}

/// Loads a module natively.
pub(crate) fn load(bytes: &ModuleBytes, _: Limits, parameters: Parameters) -> Result<LoadedModule, LoadError> {
    LoadedModule::by(Arc::new(Native), 1_000, bytes, parameters)
}

struct Native;

struct NativeCode {
    habit: Habit,
    info: ModuleInfo,
    facts: Facts,
}

impl Compiler for Native {
    fn compile(self: Arc<Self>, bytes: &ModuleBytes) -> Result<Box<dyn Code>, LoadError> {
        let unknown = || LoadError::NotWasm { module: bytes.origin.clone(), found: "another text".into() };
        let habit = Habit::read(bytes).ok_or_else(unknown)?;
        let size = bytes.bytes.len() as u64;
        let facts = Facts { size, digest: bytes.digest, imports: Vec::new(), exports: Vec::new() };
        Ok(Box::new(NativeCode { habit, info: polaris2istio_core::describe(), facts }))
    }
}

impl Code for NativeCode {
    fn info(&self) -> &ModuleInfo {
        &self.info
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    /// At once: it takes no time, and so everything comes in the same order each time.
    fn run(&self, _: Lane, call: Call) -> BoxFuture<'static, Result<Outcome, CallError>> {
        Box::pin(std::future::ready(call()))
    }

    fn convert(
        &self,
        service: &Service,
        entry: &Entry,
        parameters: &[(String, String)],
        published: Option<&str>,
        _: Option<Duration>,
    ) -> Result<Outcome, CallError> {
        self.habit.convert(&Request {
            service: service.clone(),
            entry: entry.clone(),
            parameters: parameters.to_vec(),
            published: published.map(str::to_owned),
        })
    }
}
