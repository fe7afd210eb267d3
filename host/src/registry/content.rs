//! The content of an answer, from the decoder to the guard.

use std::sync::Arc;

use polaris2istio_core::model::{Instance, Service};

/// The content of an answer about one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// It exists: instances sorted by id, metadata sorted by key. An alias stands under the name that was asked for.
    Listed(Arc<Service>),
    /// There is no such service.
    Missing,
}

impl Content {
    /// The listed instances, fit and unfit; none of a service that does not exist.
    pub fn instances(&self) -> &[Instance] {
        match self {
            Self::Listed(service) => &service.instances,
            Self::Missing => &[],
        }
    }

    /// Whether there is no such service.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// Whether both say the same, under whatever revision.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Listed(old), Self::Listed(new)) => {
                Arc::ptr_eq(old, new)
                    || old.namespace == new.namespace
                        && old.name == new.name
                        && old.metadata == new.metadata
                        && old.instances == new.instances
            }
            (Self::Missing, Self::Missing) => true,
            _ => false,
        }
    }
}
