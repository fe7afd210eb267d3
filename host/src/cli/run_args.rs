//! The controller's flags, and how they become a running controller.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{ElectionArgs, GuardArgs, LogFormat, ModuleArgs, ObserveArgs, RolloutArgs};
use crate::controller::SyncStatus;
use crate::dns::{Mode, Settings};
use crate::registry::{
    AnyRegistry, DirectoryConfig, DirectoryRegistry, HttpConfig, HttpRegistry, TlsFiles, TokenSource,
};
use crate::run::{Config, Target, run};
use crate::watch_dir::WatchOptions;

/// The time without an answer after which a registry counts as silent, beside some polls at the slow rate of a standby.
const SILENT: Duration = Duration::from_secs(30);

/// Flags of the controller.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Polaris servers, over HTTP, or over TLS as https://host:port; the others take over when the first fails
    #[arg(
        long,
        alias = "polarisAddress",
        env = "POLARIS2ISTIO_POLARIS_ADDRESS",
        value_name = "HOST:PORT,...",
        required_unless_present = "answers",
        help_heading = "Registry"
    )]
    polaris_address: Option<String>,
    /// A directory of Polaris answers (*.json) in place of a server
    #[arg(
        long,
        env = "POLARIS2ISTIO_ANSWERS",
        value_name = "DIR",
        conflicts_with = "polaris_address",
        help_heading = "Registry"
    )]
    answers: Option<PathBuf>,
    /// How often each service is asked for
    #[arg(long, env = "POLARIS2ISTIO_POLL_INTERVAL", value_name = "TIME", default_value = "2s", value_parser = interval, help_heading = "Registry")]
    poll_interval: Duration,
    /// How long a request to Polaris may take
    #[arg(long, env = "POLARIS2ISTIO_POLARIS_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = interval, help_heading = "Registry")]
    polaris_timeout: Duration,
    /// A file with the token for Polaris, read again when the server denies access
    #[arg(
        long,
        env = "POLARIS2ISTIO_POLARIS_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "polaris_token",
        help_heading = "Registry"
    )]
    polaris_token_file: Option<PathBuf>,
    /// The token itself; better set by the environment, where `ps` does not show it
    #[arg(long, env = "POLARIS2ISTIO_POLARIS_TOKEN", value_name = "TOKEN", help_heading = "Registry")]
    polaris_token: Option<String>,
    /// Certificates (PEM) of authorities to trust beside the system's, for Polaris over TLS
    #[arg(long, env = "POLARIS2ISTIO_POLARIS_CA_FILE", value_name = "FILE", help_heading = "Registry")]
    polaris_ca_file: Option<PathBuf>,
    /// The certificate (PEM) to show to a Polaris that asks for one; read again when TLS fails
    #[arg(
        long,
        env = "POLARIS2ISTIO_POLARIS_CERT_FILE",
        value_name = "FILE",
        requires = "polaris_key_file",
        help_heading = "Registry"
    )]
    polaris_cert_file: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(
        long,
        env = "POLARIS2ISTIO_POLARIS_KEY_FILE",
        value_name = "FILE",
        requires = "polaris_cert_file",
        help_heading = "Registry"
    )]
    polaris_key_file: Option<PathBuf>,

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

    fn config(&self) -> anyhow::Result<Config> {
        let target = match (&self.entries, &self.output) {
            (Some(entries), Some(output)) => Target::Directory { entries: entries.clone(), output: output.clone() },
            _ => Target::Kubernetes,
        };
        Ok(Config {
            registry: self.registry()?,
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
            silent_after: self.answers.is_none().then(|| SILENT + self.poll_interval * 15),
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
        if let Some(path) = &self.answers {
            let config = DirectoryConfig { path: path.clone(), options: WatchOptions::default() };
            return Ok(AnyRegistry::Directory(DirectoryRegistry::new(config)?));
        }
        let addresses = self.polaris_address.as_deref().unwrap_or_default().parse()?;
        let token = match (&self.polaris_token_file, &self.polaris_token) {
            (Some(file), _) => TokenSource::File(file.clone()),
            (None, Some(token)) => TokenSource::Value(token.clone()),
            (None, None) => TokenSource::None,
        };
        let identity = self.polaris_cert_file.clone().zip(self.polaris_key_file.clone());
        let config = HttpConfig {
            token,
            tls: TlsFiles { authority: self.polaris_ca_file.clone(), identity },
            interval: self.poll_interval,
            total_timeout: self.polaris_timeout,
            ..HttpConfig::new(addresses)
        };
        Ok(AnyRegistry::Http(HttpRegistry::new(config)?))
    }
}

/// Reads a time that is not zero: polling without a pause would be an attack on the registry.
fn interval(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time < Duration::from_millis(50) { Err("at least 50ms".into()) } else { Ok(time) }
}

fn filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text).map(|_| text.into()).map_err(|error| error.to_string())
}
