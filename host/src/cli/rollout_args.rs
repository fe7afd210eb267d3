//! Flags for changing modules while the controller runs, and for the place of the shared state.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::ModuleArgs;
use crate::converter::LoadedModule;
use crate::percent::Percent;
use crate::rollout::{Decision, Policy, Setup};
use crate::run::{StatePlace, Target};
use crate::source::NamedSource;

/// The ConfigMap, if none is named.
const CONFIG_MAP: &str = "polaris2istio-state";

/// Who decides on another module, and within which limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Change of modules")]
pub struct RolloutArgs {
    /// A YAML file with parameters for the module, one `key: value` a line; followed, and a change is a change of modules
    #[arg(long, env = "POLARIS2ISTIO_MODULE_PARAMS", value_name = "FILE")]
    module_params: Option<PathBuf>,
    /// Who decides on another module: `auto` within the limits below, `review` a person always, `canary=N%` as auto but on a share of the entries first
    #[arg(long, env = "POLARIS2ISTIO_SWAP", value_name = "HOW", default_value = "auto")]
    swap: Decision,
    /// The largest share of all endpoints that another module may take away without a person being asked
    #[arg(long, env = "POLARIS2ISTIO_SWAP_MAX_REMOVED", value_name = "N%", default_value = "10%")]
    swap_max_removed: Percent,
    /// The largest share of all endpoints by which another module may add some without a person being asked; one at an address where the registry lists no instance is never added unasked
    #[arg(long, env = "POLARIS2ISTIO_SWAP_MAX_ADDED", value_name = "N%", default_value = "10%")]
    swap_max_added: Percent,
    /// The largest share of all endpoints that another module may give another weight, label, port or locality, and of all entries other ports, without a person being asked
    #[arg(long, env = "POLARIS2ISTIO_SWAP_MAX_ALTERED", value_name = "N%", default_value = "10%")]
    swap_max_altered: Percent,
    /// Entries a second that another module may change
    #[arg(long, env = "POLARIS2ISTIO_SWAP_RATE", value_name = "N", default_value = "20")]
    swap_rate: NonZeroU32,
    /// How long `canary` tries a module before it gets all entries
    #[arg(long, env = "POLARIS2ISTIO_CANARY_TIME", value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    canary_time: Duration,
    /// Conversions in which a new module may fail, or reject what the one before accepts, before it is rolled back
    #[arg(long, env = "POLARIS2ISTIO_SWAP_MAX_FAILURES", value_name = "N", default_value = "3")]
    swap_max_failures: u32,
    /// How long a new module is held to what the one before does
    #[arg(long, env = "POLARIS2ISTIO_SWAP_PROBATION", value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    swap_probation: Duration,
    /// What outlives a restart (modules in use and refused, a pause): `configmap:[NAMESPACE/]NAME`, `file:PATH` or `none`; by default the ConfigMap polaris2istio-state of the pod's namespace, and `none` with --entries
    #[arg(long, env = "POLARIS2ISTIO_STATE", value_name = "PLACE")]
    state: Option<Place>,
    /// A unix socket for `module status` and other commands to this controller
    #[arg(long, env = "POLARIS2ISTIO_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// A place for the shared state, as a flag gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    None,
    File(PathBuf),
    ConfigMap { namespace: Option<String>, name: String },
}

impl RolloutArgs {
    pub(super) fn setup(&self, module: &ModuleArgs) -> Setup {
        Setup {
            source: Arc::new(NamedSource { source: module.module.clone(), settings: module.sandbox.source_settings() }),
            cache: module.sandbox.source_settings().cache,
            size_limit: module.sandbox.source_settings().size_limit,
            load: LoadedModule::new,
            limits: module.sandbox.limits(),
            parameters: module.sandbox.parameters(),
            parameters_file: self.module_params.clone(),
            policy: Policy {
                decision: self.swap,
                most_removed: self.swap_max_removed,
                most_added: self.swap_max_added,
                most_altered: self.swap_max_altered,
                canary_time: self.canary_time,
                most_failures: self.swap_max_failures,
                probation: self.swap_probation,
            },
        }
    }

    pub(super) fn rate(&self) -> NonZeroU32 {
        self.swap_rate
    }

    pub(super) fn socket(&self) -> Option<PathBuf> {
        self.socket.clone()
    }

    /// The ConfigMap's namespace is the pod's; outside of one, that of the entries.
    pub(super) fn state(&self, target: &Target, entries: &str) -> StatePlace {
        let namespace = || std::env::var("POD_NAMESPACE").unwrap_or_else(|_| entries.into());
        match (&self.state, target) {
            (None, Target::Directory { .. }) | (Some(Place::None), _) => StatePlace::Nowhere,
            (Some(Place::File(path)), _) => StatePlace::File(path.clone()),
            (None, Target::Kubernetes) => StatePlace::ConfigMap { namespace: namespace(), name: CONFIG_MAP.into() },
            (Some(Place::ConfigMap { namespace: named, name }), _) => {
                StatePlace::ConfigMap { namespace: named.clone().unwrap_or_else(namespace), name: name.clone() }
            }
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("configmap", name)) if !name.is_empty() => Ok(match name.split_once('/') {
                Some((namespace, name)) => Self::ConfigMap { namespace: Some(namespace.into()), name: name.into() },
                None => Self::ConfigMap { namespace: None, name: name.into() },
            }),
            _ => Err("write `configmap:NAME`, `file:PATH` or `none`".into()),
        }
    }
}
