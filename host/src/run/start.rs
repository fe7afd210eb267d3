//! Starts the controller and all that runs beside it.

use std::sync::Arc;

use super::bind::Bound;
use super::chronicle::chronicle;
use super::engine::{EngineHandle, Leadable};
use super::guard_record::{restore, write_record};
use super::open::{Backend, Leadership, Opened};
use super::pause::pause;
use super::running::Running;
use super::{Config, StatePlace};
use crate::control::{Announcer, Router};
use crate::controller::{Controller, Parts};
use crate::guard::Holds;
use crate::observe::View;
use crate::registry::Registry;
use crate::tasks::Tasks;
use crate::telemetry::{Events, History, Metrics, Observers};

/// Starts all; the controller itself runs with [`Running`].
pub(super) fn start<R: Registry>(config: Config<R>, bound: Bound, opened: Opened) -> Running<R> {
    let Bound { socket, site, mut tasks } = bound;
    let Opened { gate, leadership, keeper, backend, modules, rollout, commands, process } = opened;
    let Leadership { elector, leads, led } = leadership;
    let holds = Arc::new(Holds::new(config.guard.fleet_limit));
    let (metrics, history) = (Arc::new(Metrics::default()), Arc::new(History::default()));
    let events = start_events(&config, &backend, &mut tasks);
    let Backend { events: entries, resource, sink, names, policies, .. } = backend;
    let (policies, policy_reports) = policies.unzip();
    let stats = config.registry.stats();
    let controller = Controller::new(Parts {
        registry: config.registry,
        events: entries,
        resource,
        converter: Arc::clone(&modules),
        sink,
        gate: Arc::clone(&gate),
        addresses: config.addresses,
        names: names.is_some().then_some(config.names),
        guard: config.guard,
        holds: Arc::clone(&holds),
        write_rate: config.write_rate,
        swap_rate: config.swap_rate,
        once: config.once,
        pulse: tasks.pulse(),
        observers: Observers { metrics: Arc::clone(&metrics), events: events.clone(), history: Arc::clone(&history) },
    });
    let handle = controller.handle();
    let view = View {
        controller: handle.clone(),
        stats,
        holds: Arc::clone(&holds),
        silent_after: config.silent_after,
        gate: Arc::clone(&gate),
        leads: led.clone(),
        election: elector.as_ref().map(|elector| (elector.holder(), elector.identity().to_owned())),
        state: keeper.document(),
        modules,
        policies: policy_reports,
        history,
    };
    site.open(view.clone(), &metrics, config.metrics_per_entry);
    let engine = EngineHandle { controller: handle.clone(), gate: Arc::clone(&gate), holds: Arc::clone(&holds) };
    let place = if config.dry_run { &StatePlace::Nowhere } else { &config.state };
    restore(&holds, &keeper.document().borrow(), place);
    tasks.spawn("guard record", write_record(Arc::clone(&holds), Arc::clone(&keeper), led.clone()));
    let announcer = Announcer::new(events.clone(), elector.clone());
    let router = Arc::new(Router::new(Arc::clone(&keeper), led, commands, holds, view.clone(), announcer));
    if let Some(elector) = elector.clone() {
        handle.stand_by();
        let callbacks = Leadable { controller: handle.clone(), keeper: Arc::clone(&keeper) };
        tasks.spawn("election", async move { elector.run(&callbacks).await });
    }
    tasks.spawn("modules", rollout.run(Arc::new(engine)));
    if let Some(names) = names {
        tasks.spawn("names", names);
    }
    if let Some(policies) = policies {
        tasks.spawn("policies", policies.run(events));
    }
    tasks.spawn("history", chronicle(view.clone()));
    tasks.spawn("pause", pause(Arc::clone(&keeper), gate));
    let followed = Arc::clone(&keeper);
    tasks.spawn("shared state", async move { followed.follow().await });
    if let Some(socket) = socket {
        tasks.spawn("socket", socket.serve(Arc::clone(&router)));
    }
    tasks.spawn("commands", async move { router.serve_others().await });
    Running { controller, handle, elector, tasks, leads, view, keeper, process }
}

/// Events on the entries of a cluster. None in a dry run: an Event would be a write.
fn start_events<R>(config: &Config<R>, backend: &Backend, tasks: &mut Tasks) -> Events {
    let Some(client) = backend.client.clone().filter(|_| !config.dry_run) else { return Events::default() };
    let identity = config.election.as_ref().map_or("polaris2istio", |election| &election.identity);
    let (events, publish) = Events::new(client, identity, &backend.resource.api_version);
    tasks.spawn("Events", publish);
    events
}
