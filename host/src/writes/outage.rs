//! Logs once that the sink cannot be reached, however many entries notice, and once that it can again.

use std::mem::{Discriminant, discriminant};
use std::sync::{Mutex, PoisonError};

use tracing::{debug, info, warn};

use crate::plan::ApplyError;

/// The kind of trouble that was logged, if there is one.
#[derive(Default)]
pub struct Outage {
    told: Mutex<Option<Discriminant<ApplyError>>>,
}

impl Outage {
    /// Logs that a write failed. The first of its kind is a warning.
    pub fn say(&self, entry: &str, error: &ApplyError) {
        let text = error.to_string();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // Messages name the object, so they are compared by kind.
        let kind = discriminant(error);
        if *told == Some(kind) {
            debug!(entry, "not written: {text}");
        } else {
            warn!(entry, "not written, and others may fare the same: {text}");
            *told = Some(kind);
        }
    }

    /// Logs that a write succeeded, if the last one failed.
    pub fn over(&self) {
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            info!("entries can be written again");
        }
    }
}
