//! Puts the parts together for a configuration, and runs them.

mod config;
mod engine;
mod error;
mod open;
mod pause;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::info;

pub use config::{Config, HttpPlace, StatePlace, Target};
pub use error::RunError;

use crate::control::{Router, Socket};
use crate::controller::{Controller, Parts, SyncStatus};
use crate::election::LeaderElector;
use crate::guard::Holds;
use crate::observe::{HttpServer, View};
use crate::telemetry::{Events, Metrics, Observers};
use crate::writes::{BlockReason, Gate};
use engine::EngineHandle;
use open::{Opened, connect, open, open_state};
use pause::pause;

/// Runs until `shutdown` is done, or with `once` until all is in line.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<SyncStatus, RunError> {
    let mut shutdown = std::pin::pin!(shutdown);
    let socket = match &config.socket {
        Some(path) => Some(Socket::bind(path).await?),
        None => None,
    };
    let http = match config.http {
        HttpPlace::Nowhere => None,
        HttpPlace::Usual => HttpServer::bind_usual().await,
        HttpPlace::At(address) => Some(HttpServer::bind(address).await?),
    };
    let mut tasks = JoinSet::new();
    // At once: a process that waits for its state is alive.
    let opener = http.map(|http| {
        let opener = http.opener();
        tasks.spawn(http.serve());
        opener
    });
    let gate = Arc::new(Gate::default());
    if config.dry_run {
        gate.block(BlockReason::DryRun);
    }
    let (leads, follows) = watch::channel(true);
    let (commands, requests) = mpsc::channel(8);
    let campaign = match &config.election {
        Some(election) => {
            let client = connect(Some(&election.identity)).await?;
            Some(Arc::new(LeaderElector::new(client, election.clone(), Arc::clone(&gate), leads.clone())))
        }
        None => None,
    };
    let start = async {
        let opened = open(&config, &gate).await?;
        // What others share is not for a dry run to change; it begins with the modules of its own flags.
        let place = if config.dry_run { &StatePlace::Nowhere } else { &config.state };
        let keeper = Arc::new(open_state(place).await?);
        Ok::<_, RunError>((keeper, opened))
    };
    let (keeper, Opened { events, resource, sink, client, names }) = tokio::select! {
        started = start => started?,
        () = &mut shutdown => return Ok(SyncStatus::Synced),
    };
    let (live, swapper) = tokio::select! {
        opened = config.modules.open(Arc::clone(&keeper), follows.clone(), requests) => opened?,
        () = &mut shutdown => return Ok(SyncStatus::Synced),
    };
    let active = live.active();
    let info = active.info();
    info!(module = %active.identity(), name = info.name, version = info.version, from = active.origin(), "conversion module loaded");
    let holds = Arc::new(Holds::new(config.guard.fleet_limit));
    // An Event would be a write.
    let told = client.filter(|_| !config.dry_run).map(|client| {
        let identity = config.election.as_ref().map_or("polaris2istio", |election| &election.identity);
        let (events, publish) = Events::new(client, identity, &resource.api_version);
        tasks.spawn(publish);
        events
    });
    let metrics = Arc::new(Metrics::default());
    let stats = config.registry.stats();
    let controller = Controller::new(Parts {
        registry: config.registry,
        events,
        resource,
        converter: Arc::clone(&live),
        sink,
        gate: Arc::clone(&gate),
        addresses: config.addresses,
        names: names.is_some().then_some(config.names),
        guard: config.guard,
        holds: Arc::clone(&holds),
        write_rate: config.write_rate,
        swap_rate: config.swap_rate,
        once: config.once,
        observers: Observers { metrics: Arc::clone(&metrics), events: told.unwrap_or_default() },
    });
    let handle = controller.handle();
    let engine =
        Arc::new(EngineHandle { controller: handle.clone(), gate: Arc::clone(&gate), holds: Arc::clone(&holds) });
    let view = View {
        controller: handle.clone(),
        stats,
        holds: Arc::clone(&holds),
        silent_after: config.silent_after,
        gate: Arc::clone(&gate),
        leads: follows.clone(),
        election: campaign.as_ref().map(|campaign| (campaign.holder(), campaign.identity().to_owned())),
        state: keeper.document(),
        modules: live,
    };
    if let Some(opener) = opener {
        opener.open(view.clone(), &metrics, config.metrics_per_entry);
    }
    let router = Arc::new(Router::new(Arc::clone(&keeper), follows, commands, holds, view));
    if let Some(campaign) = campaign.clone() {
        handle.stand_by();
        let duties = handle.clone();
        tasks.spawn(async move { campaign.run(&duties).await });
    }
    tasks.spawn(swapper.run(engine));
    if let Some(names) = names {
        tasks.spawn(names);
    }
    tasks.spawn(pause(Arc::clone(&keeper), gate));
    tasks.spawn(async move { keeper.follow().await });
    if let Some(socket) = socket {
        tasks.spawn(socket.serve(Arc::clone(&router)));
    }
    tasks.spawn(async move { router.serve_others().await });
    let status = controller.run(shutdown).await;
    tasks.shutdown().await;
    // Else a write may still be on its way, and the next one must wait until it cannot be.
    if let Some(campaign) = campaign.filter(|_| handle.writes_ended()) {
        campaign.release().await;
    }
    drop(leads);
    info!("stopped");
    Ok(status)
}
