//! Logs once that the sink cannot be reached, however many entries notice, and once that it can again.

use std::mem::discriminant;
use std::sync::{Mutex, PoisonError};

use tracing::{debug, info, warn};

use crate::log_once::LogOnce;
use crate::plan::ApplyError;

/// Whether writes fail.
#[derive(Default)]
pub struct Outage {
    log: Mutex<LogOnce>,
}

impl Outage {
    /// Logs that a write failed. The first of its kind is a warning.
    pub fn say(&self, entry: &str, error: &ApplyError) {
        // Messages name the object; what counts is the kind.
        if self.log.lock().unwrap_or_else(PoisonError::into_inner).is_news("writes", discriminant(error)) {
            warn!(entry, "not written, and others may fare the same: {error}");
        } else {
            debug!(entry, "not written: {error}");
        }
    }

    /// Logs that a write succeeded, if the last one failed.
    pub fn over(&self) {
        if self.log.lock().unwrap_or_else(PoisonError::into_inner).clear() {
            info!("entries can be written again");
        }
    }
}
