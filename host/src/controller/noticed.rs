//! The entries on which Events tell of the whole fleet, so that the same entry is told when that is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::guard::NoticeKind;
use crate::istio::ServiceEntry;

/// One entry for each kind.
#[derive(Debug, Default)]
pub(super) struct Noticed(Mutex<BTreeMap<NoticeKind, ServiceEntry>>);

impl Noticed {
    pub(super) fn begin(&self, kind: NoticeKind, entry: &ServiceEntry) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, entry.clone());
    }

    /// The entry that was told of it, if one was.
    pub(super) fn end(&self, kind: NoticeKind) -> Option<ServiceEntry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&kind)
    }
}
