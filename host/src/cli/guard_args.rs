//! The flags of the guard, and of what is written at all.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use crate::guard::{HoldTime, Settings};
use crate::percent::Percent;

/// How long and how much the guard holds back.
#[derive(Debug, Args)]
#[command(next_help_heading = "Guard")]
pub struct GuardArgs {
    /// How long the endpoints of a service that lists no instance any more are kept: a time, `0s` or `never`
    #[arg(long, env = "POLARIS2ISTIO_EMPTY_HOLD", value_name = "TIME", default_value = "5m")]
    empty_hold: HoldTime,
    /// How long more than half of at least four instances that vanish at once are kept, and two more answers must agree
    #[arg(long, env = "POLARIS2ISTIO_REMOVAL_HOLD", value_name = "TIME", default_value = "10s")]
    removal_hold: HoldTime,
    /// Where more of all services (and at least five) lose half within a minute, all disappearances are held; `100%` never
    #[arg(long, env = "POLARIS2ISTIO_FLEET_LIMIT", value_name = "SHARE", default_value = "20%")]
    fleet_limit: Percent,
    /// A loss is measured against the most endpoints that there were within this time
    #[arg(long, env = "POLARIS2ISTIO_LOSS_WINDOW", value_name = "TIME", default_value = "10m", value_parser = window)]
    loss_window: Duration,
    /// Where the module drops more of an entry's endpoints that the registry lists as fit, they are held; `100%` never
    #[arg(long, env = "POLARIS2ISTIO_MODULE_REMOVAL_LIMIT", value_name = "SHARE", default_value = "10%")]
    module_removal_limit: Percent,
    /// Writes a second at most, of all entries together; it begins with 100, and adapts to what the API server takes
    #[arg(long, env = "POLARIS2ISTIO_WRITE_RATE", value_name = "N", default_value = "400")]
    pub(super) write_rate: NonZeroU32,
    /// Show what would be written, and whether the API server and its webhooks would take it; write nothing
    #[arg(long, env = "POLARIS2ISTIO_DRY_RUN")]
    pub(super) dry_run: bool,
}

impl GuardArgs {
    /// The settings for all entries that do not override them.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            empty_hold: self.empty_hold,
            removal_hold: self.removal_hold,
            fleet_limit: self.fleet_limit,
            loss_window: self.loss_window,
            module_removal_limit: self.module_removal_limit,
        }
    }
}

/// Not below the time within which the losses of all services count together, and not beyond a day.
fn window(text: &str) -> Result<Duration, String> {
    let (least, most) = (Duration::from_secs(60), Duration::from_secs(86_400));
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; write `10m`"))?;
    if (least..=most).contains(&time) { Ok(time) } else { Err("write a time from `1m` to `24h`".into()) }
}
