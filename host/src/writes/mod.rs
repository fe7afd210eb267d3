//! Decides whether, when and how fast entries may be written: one gate for the process, one rate and an order for all
//! entries, spacing for each.

mod adaptive_rate;
mod flap_damper;
mod gate;
mod outage;
mod turns;
mod write_rate_limiter;

pub use flap_damper::FlapDamper;
pub use gate::{BlockReason, Gate, Reopened, WritesBlocked};
pub use outage::Outage;
pub use turns::{Lane, Turn, Turns};
pub use write_rate_limiter::WriteRateLimiter;
