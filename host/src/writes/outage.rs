//! Says once that the sink cannot be reached, however many entries notice, and once that it can again.

use std::mem::{Discriminant, discriminant};
use std::sync::{Mutex, PoisonError};

use tracing::{debug, info, warn};

use crate::plan::ApplyError;

/// The trouble that was told, if there is one.
#[derive(Default)]
pub struct Outage {
    told: Mutex<Option<Discriminant<ApplyError>>>,
}

impl Outage {
    /// A write failed. The first of its kind is a warning.
    pub fn say(&self, entry: &str, error: &ApplyError) {
        let text = error.to_string();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // Messages name the object; what counts is the kind.
        let kind = discriminant(error);
        if *told == Some(kind) {
            debug!(entry, "not written: {text}");
        } else {
            warn!(entry, "not written, and others may fare the same: {text}");
            *told = Some(kind);
        }
    }

    /// A write worked.
    pub fn over(&self) {
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            info!("entries can be written again");
        }
    }
}
