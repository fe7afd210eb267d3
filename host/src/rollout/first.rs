//! Decides which module is in use from the start: the one that was in use before, if it can be found, and if processes did not end
//! here again and again while they loaded it. Else a replica would die of it for as long as it is started.

use std::sync::Arc;

use tracing::{error, warn};

use super::loader::{Loader, load_aside};
use super::loading::TRIES;
use super::module_state::ModuleRecord;
use super::{Setup, StartError};
use crate::converter::{Identity, LoadError, LoadedModule, Parameters};
use crate::source::{ModuleBytes, SourceError};

/// The module that the source has, with the parameters that are set for it.
pub(super) struct Wanted {
    pub(super) bytes: ModuleBytes,
    pub(super) parameters: Parameters,
}

impl Wanted {
    fn identity(&self) -> Identity {
        Identity::new(self.bytes.digest, &self.parameters)
    }
}

/// The module that a process begins with.
pub(super) struct First {
    pub(super) module: Arc<LoadedModule>,
    /// The approved module is lost, so that this one is not approved.
    pub(super) lost: bool,
    /// The approved module, if processes ended here while they loaded it, and this one is the one before.
    pub(super) deadly: Option<Identity>,
}

impl Setup {
    pub(super) async fn first(
        &self,
        loader: &Loader,
        wanted: Result<Wanted, SourceError>,
    ) -> Result<First, StartError> {
        let active = loader.keeper.document().borrow().module.active.clone();
        let (approved, wanted) = match active {
            Some(ModuleRecord { identity, .. }) => (identity, wanted),
            None => {
                let wanted = wanted?;
                (wanted.identity(), Ok(wanted))
            }
        };
        if loader.ended_by(&approved) >= TRIES {
            return self.instead_of(&approved, loader, wanted.ok()).await;
        }
        let known = |module| First { module, lost: false, deadly: None };
        if let Some(Wanted { bytes, parameters }) = wanted.as_ref().ok().filter(|wanted| wanted.identity() == approved)
        {
            return Ok(known(self.load(loader, bytes.clone(), parameters.clone()).await?));
        }
        if let Some(kept) = kept(&approved, loader, &wanted).await {
            match self.load(loader, kept, approved.parameters()).await {
                Ok(module) => {
                    if let Err(error) = &wanted {
                        warn!("{error}; the module that was in use goes on: {approved}");
                    }
                    return Ok(known(module));
                }
                Err(error) => error!("the module that was in use cannot be loaded any more: {error}"),
            }
        }
        let Wanted { bytes, parameters } = wanted?;
        error!(
            lost = %approved,
            found = %bytes.digest,
            "the module that was in use is not to be had, and its source has another one: nothing is written until that is approved; set --module-cache to a directory that outlives a restart"
        );
        Ok(First { module: self.load(loader, bytes, parameters).await?, lost: true, deadly: None })
    }

    async fn load(
        &self,
        loader: &Loader,
        bytes: ModuleBytes,
        parameters: Parameters,
    ) -> Result<Arc<LoadedModule>, LoadError> {
        let identity = Identity::new(bytes.digest, &parameters);
        let (load, limits) = (self.load, self.limits.clone());
        loader.noted(&identity, load_aside(move || load(&bytes, limits, parameters))).await
    }

    /// The module before the one that processes ended of. Without one nothing is written until a person decides, or the source has
    /// another one.
    async fn instead_of(
        &self,
        deadly: &Identity,
        loader: &Loader,
        wanted: Option<Wanted>,
    ) -> Result<First, StartError> {
        error!(module = %deadly, "not loaded: processes ended here again and again while they did that; their logs say why they ended");
        let earlier = loader.keeper.document().borrow().module.earlier.clone();
        for ModuleRecord { identity, .. } in earlier {
            if let Some(bytes) = loader.find(identity.module).await
                && let Some(module) = self.load_unless_deadly(&identity, loader, bytes).await
            {
                warn!(module = %identity, "the module before it is taken in its place");
                return Ok(First { module, lost: true, deadly: Some(deadly.clone()) });
            }
        }
        let lost = |module| First { module, lost: true, deadly: None };
        if let Some(wanted) = wanted.filter(|wanted| wanted.identity() != *deadly)
            && let Some(module) = self.load_unless_deadly(&wanted.identity(), loader, wanted.bytes.clone()).await
        {
            return Ok(lost(module));
        }
        error!(
            "no module ran before it that is to be had: nothing is written until another one is at its source, or a person promotes it"
        );
        Ok(lost(self.load(loader, ModuleBytes::embedded(), self.parameters.clone()).await?))
    }

    async fn load_unless_deadly(
        &self,
        identity: &Identity,
        loader: &Loader,
        bytes: ModuleBytes,
    ) -> Option<Arc<LoadedModule>> {
        if loader.ended_by(identity) > 0 {
            return None;
        }
        let loaded = self.load(loader, bytes, identity.parameters()).await;
        loaded.inspect_err(|error| warn!("a module that was in use cannot be loaded any more: {error}")).ok()
    }
}

/// The bytes of the approved module: of the source, if it has the same with whatever parameters, or kept ones.
async fn kept(approved: &Identity, loader: &Loader, wanted: &Result<Wanted, SourceError>) -> Option<ModuleBytes> {
    match wanted {
        Ok(Wanted { bytes, .. }) if bytes.digest == approved.module => Some(bytes.clone()),
        _ => loader.find(approved.module).await,
    }
}
