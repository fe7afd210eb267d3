//! The controller's flags, and how they become a running controller.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::registry_args::{RegistryArgs, interval};
use super::{ClusterArgs, ElectionArgs, GuardArgs, LogFormat, ModuleArgs, ObserveArgs, RolloutArgs};
use crate::controller::SyncStatus;
use crate::dns::{Mode, Settings};
use crate::registry::{
    Addresses, AnyRegistry, DirectoryConfig, DirectoryRegistry, DoorbellConfig, DoorbellKind, PolarisConfig,
    PolarisRegistry, TokenSource,
};
use crate::run::{Config, Target, run};
use crate::watch_dir::WatchOptions;

/// The time without an answer after which a registry counts as silent, beside some polls at the slow rate of a standby.
const SILENT: Duration = Duration::from_secs(30);

/// Flags of the controller.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// How often each service is asked for, unless there are too many for --poll-rate; more often for a minute after it changed
    #[arg(long, env = "POLARIS2ISTIO_POLL_INTERVAL", value_name = "TIME", default_value = "500ms", value_parser = interval, help_heading = "Registry")]
    poll_interval: Duration,
    /// The most requests a second to Polaris; 2000 by gRPC and 500 by HTTP if it is not set
    #[arg(long, env = "POLARIS2ISTIO_POLL_RATE", value_name = "NUMBER", help_heading = "Registry")]
    poll_rate: Option<NonZeroU32>,
    /// What tells of changes, so that services are asked for when they change: `console`, the list of changes that Polaris's
    /// console has, which needs a user's token where the console wants one; or `nacos`, the pushes of its imitation of Nacos
    #[arg(
        long,
        env = "POLARIS2ISTIO_DOORBELL",
        value_name = "KIND",
        conflicts_with = "answers",
        help_heading = "Registry"
    )]
    doorbell: Option<BellKind>,
    /// Where the console is, port 8090 of the first server if it is not set; or where Nacos's gRPC is, port 9848
    #[arg(
        long,
        env = "POLARIS2ISTIO_DOORBELL_ADDRESS",
        value_name = "HOST:PORT",
        requires = "doorbell",
        help_heading = "Registry"
    )]
    doorbell_address: Option<String>,
    /// A file with a user's token for the doorbell; without it it is asked with the token for Polaris
    #[arg(
        long,
        env = "POLARIS2ISTIO_DOORBELL_TOKEN_FILE",
        value_name = "FILE",
        requires = "doorbell",
        help_heading = "Registry"
    )]
    doorbell_token_file: Option<PathBuf>,

    /// The namespace whose ServiceEntries are served
    #[arg(
        long,
        alias = "configRootNS",
        env = "POLARIS2ISTIO_NAMESPACE",
        value_name = "NAME",
        default_value = "polaris",
        help_heading = "Entries"
    )]
    pub(super) namespace: String,
    /// A directory of ServiceEntries (*.yaml) in place of a cluster; needs --output
    #[arg(long, env = "POLARIS2ISTIO_ENTRIES", value_name = "DIR", requires = "output", help_heading = "Entries")]
    entries: Option<PathBuf>,
    /// Where the entries of --entries are written, one file each
    #[arg(long, env = "POLARIS2ISTIO_OUTPUT", value_name = "DIR", requires = "entries", help_heading = "Entries")]
    output: Option<PathBuf>,

    /// Carry out the policies (PolarisImport) of the namespace: make entries for services that they select, and delete them after
    /// the services
    #[arg(long, env = "POLARIS2ISTIO_POLICIES", conflicts_with = "once", help_heading = "Entries")]
    policies: bool,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    guard: GuardArgs,

    /// What is published in the cluster's DNS for entries whose annotation `aeraki.net/dns` says nothing
    #[arg(
        long,
        env = "POLARIS2ISTIO_DNS",
        value_name = "MODE",
        default_value = "off",
        conflicts_with_all = ["entries", "once"],
        help_heading = "Names"
    )]
    dns: Mode,
    /// The domain that the cluster's DNS serves
    #[arg(
        long,
        env = "POLARIS2ISTIO_CLUSTER_DOMAIN",
        value_name = "DOMAIN",
        default_value = "cluster.local",
        help_heading = "Names"
    )]
    cluster_domain: String,
    /// Make istiod allocate a virtual IP again where it has given up: status.addresses is set to null
    #[arg(long, env = "POLARIS2ISTIO_REPAIR_VIP", conflicts_with_all = ["entries", "once"], help_heading = "Names")]
    repair_vip: bool,

    #[command(flatten)]
    module: ModuleArgs,
    #[command(flatten)]
    rollout: RolloutArgs,
    #[command(flatten)]
    election: ElectionArgs,
    #[command(flatten)]
    observe: ObserveArgs,

    /// Bring every entry in line once, then exit
    #[arg(long, env = "POLARIS2ISTIO_ONCE")]
    once: bool,
    /// What is logged: error, warn, info, debug, or a filter of the `tracing` crate
    #[arg(long, env = "POLARIS2ISTIO_LOG", value_name = "FILTER", default_value = "info", value_parser = filter)]
    pub(super) log: String,
    /// How log lines look
    #[arg(long, env = "POLARIS2ISTIO_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
}

impl RunArgs {
    /// Runs the controller until it is told to stop.
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no async runtime")?;
        let status = runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
            let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
            let shutdown = async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            anyhow::Ok(run(self.config()?, shutdown).await?)
        })?;
        // Work that still blocks (a call, a name look-up) must not keep the process.
        runtime.shutdown_background();
        Ok(match status {
            // A pause is what the operator wanted.
            SyncStatus::Synced | SyncStatus::Paused => ExitCode::SUCCESS,
            SyncStatus::Failed => ExitCode::from(1),
            SyncStatus::Held => ExitCode::from(3),
        })
    }

    /// Everything that a run depends on.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        let target = match (&self.entries, &self.output) {
            (Some(entries), Some(output)) => Target::Directory { entries: entries.clone(), output: output.clone() },
            _ => Target::Kubernetes,
        };
        Ok(Config {
            registry: self.registry()?,
            policies: if self.policies { Some(self.registry.catalogue()?) } else { None },
            cluster: self.cluster.cluster(),
            namespace: self.namespace.clone(),
            state: self.rollout.state(&target, &self.namespace),
            socket: self.rollout.socket(),
            election: self.election.config(&target, &self.namespace, self.once || self.guard.dry_run),
            modules: self.rollout.setup(&self.module),
            swap_rate: self.rollout.rate(),
            http: self.observe.http(self.once),
            probes: self.observe.probes(self.once),
            status_token: self.observe.status_token(),
            metrics_per_entry: self.observe.per_entry(),
            silent_after: self.registry.answers().is_none().then(|| SILENT + self.poll_interval * 15),
            target,
            client: None,
            addresses: self.module.addresses(),
            guard: self.guard.settings(),
            write_rate: self.guard.write_rate,
            names: Settings { mode: self.dns, cluster_domain: self.cluster_domain.clone() },
            repair_vip: self.repair_vip,
            once: self.once,
            dry_run: self.guard.dry_run,
        })
    }

    fn registry(&self) -> anyhow::Result<AnyRegistry> {
        if let Some(path) = self.registry.answers() {
            let config = DirectoryConfig { path: path.to_owned(), options: WatchOptions::default() };
            return Ok(AnyRegistry::Directory(DirectoryRegistry::new(config)?));
        }
        let polaris = self.registry.polaris()?;
        let config = PolarisConfig {
            doorbell: self.doorbell(&polaris.addresses, &polaris.token)?,
            interval: self.poll_interval,
            rate: self.poll_rate,
            ..polaris
        };
        Ok(AnyRegistry::Polaris(PolarisRegistry::new(config)?))
    }

    fn doorbell(&self, addresses: &Addresses, token: &TokenSource) -> anyhow::Result<Option<DoorbellConfig>> {
        let Some(kind) = self.doorbell else { return Ok(None) };
        let first = addresses.as_slice().first().context("no address")?;
        let (kind, usual) = match kind {
            BellKind::Console => (DoorbellKind::Console, first.console()),
            BellKind::Nacos => (DoorbellKind::Nacos, first.nacos()),
        };
        let address = self.doorbell_address.as_ref().map_or(Ok(usual), |address| address.parse())?;
        let token = self.doorbell_token_file.clone().map_or_else(|| token.clone(), TokenSource::File);
        Ok(Some(DoorbellConfig { kind, address, token }))
    }
}

/// What tells of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BellKind {
    /// The console's list of instances, newest change first.
    Console,
    /// The pushes of the server's imitation of Nacos.
    Nacos,
}

fn filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text).map(|_| text.into()).map_err(|error| error.to_string())
}
