//! Decides whether, when and how fast entries may be written: one gate for the process, one rate and an order for all
//! entries, spacing for each. Also the parts of a loop that plans and writes, for those that write other objects.

mod adaptive_rate;
mod due;
mod flap_damper;
mod gate;
mod outage;
mod perform;
mod resting;
mod turns;
mod write_rate_limiter;

pub use due::Due;
pub use flap_damper::FlapDamper;
pub use gate::{BlockReason, Gate, Reopened, WritesBlocked};
pub use outage::Outage;
pub use perform::perform;
pub use resting::Resting;
pub use turns::{Lane, Turn, Turns};
pub use write_rate_limiter::WriteRateLimiter;
