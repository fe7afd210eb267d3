//! Modules that are changed while everything runs: made active, left to the operator, tried on a share, rolled back.

mod bad;
mod commands;
mod fairness;
mod restarts;
mod taken;
mod trial;
mod turns;

use std::collections::BTreeMap;
use std::time::Duration;

use polaris2istio::control::{Command, ask};
use polaris2istio::rollout::{self, Forwarded, ModuleName, ModuleState};
use polaris2istio::run::Config;
use polaris2istio_tests::wait_for;
use serde_json::Value;

use crate::guest;
use crate::world::{Running, World};

const SOON: Duration = Duration::from_secs(30);

/// A controller whose entries show which module converted them.
struct Rollout {
    world: World,
    running: Running,
}

impl Rollout {
    /// With so many entries of two endpoints each, converted by the module `tag-one`.
    async fn start(entries: usize, change: impl FnOnce(&mut Config, &World)) -> Self {
        let world = World::new();
        for number in 0..entries {
            world.entry(&name(number));
            world.answer(&name(number), None, &["10.0.0.1", "10.0.0.2"]);
        }
        world.write("module.wasm", &guest::variant("tag-one"));
        let running = world.start(|config| change(config, &world));
        let rollout = Self { world, running };
        rollout.until_tagged("one", entries).await;
        rollout
    }

    /// Puts another module at the source.
    fn offer(&self, behaviour: &str) {
        self.world.write("module.wasm", &guest::variant(behaviour));
    }

    async fn restart(self, change: impl FnOnce(&mut Config, &World)) -> Self {
        let Self { world, running } = self;
        running.stop().await;
        let running = world.start(|config| change(config, &world));
        Self { world, running }
    }

    /// The controller's status of its modules.
    async fn status(&self) -> ModuleState {
        serde_json::from_value(self.ask(Command::ModuleStatus).await.unwrap()).unwrap()
    }

    async fn command(&self, command: rollout::Command) -> Result<Value, String> {
        self.ask(Command::Forwarded(Forwarded::Module(command))).await
    }

    async fn ask(&self, command: Command) -> Result<Value, String> {
        let path = self.world.path("socket");
        let asked = tokio::task::spawn_blocking(move || ask(&path, &command).map_err(|error| error.to_string()));
        asked.await.unwrap()
    }

    /// Waits until the controller says something of its modules, and returns what it says.
    async fn until(&self, what: &str, fits: impl Fn(&ModuleState) -> bool) -> ModuleState {
        wait_for(what, SOON, || async {
            match self.ask(Command::ModuleStatus).await {
                Ok(value) => {
                    let state: ModuleState = serde_json::from_value(value.clone()).unwrap();
                    if fits(&state) { Ok(state) } else { Err(value.to_string()) }
                }
                Err(problem) => Err(problem),
            }
        })
        .await
    }

    /// Waits until the status says what is wrong with the source, or that it is well.
    async fn until_source_fails(&self, problem: Option<&str>) {
        wait_for(&format!("the source says {problem:?}"), SOON, || async {
            let status = self.ask(Command::ModuleStatus).await?;
            let shown = self.ask(Command::Status).await?["moduleNotices"].to_string();
            let reason = status["sourceTrouble"]["reason"].as_str();
            let fits = match problem {
                Some(problem) => reason.is_some_and(|reason| reason.contains(problem)) && shown.contains("gives none"),
                None => reason.is_none() && !shown.contains("gives none"),
            };
            if fits { Ok(()) } else { Err(format!("{reason:?} {shown}")) }
        })
        .await;
    }

    /// How many entries each module converted, by its tag.
    fn tags(&self) -> BTreeMap<String, usize> {
        let mut tags = BTreeMap::new();
        for file in std::fs::read_dir(self.world.path("output")).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
            let tag = text.lines().find_map(|line| line.trim().strip_prefix("polaris2istio.aeraki.net/tag: "));
            *tags.entry(tag.unwrap_or("none").trim_matches('"').to_owned()).or_default() += 1;
        }
        tags
    }

    async fn until_tagged(&self, tag: &str, entries: usize) {
        wait_for(&format!("{entries} entries are converted by {tag}"), SOON, || async {
            let tags = self.tags();
            if tags.get(tag) == Some(&entries) { Ok(()) } else { Err(format!("{tags:?}")) }
        })
        .await;
    }

    /// Gives every service another instance and waits until every entry has it: then each was converted by the module that
    /// it is to be converted by.
    async fn refresh(&self, entries: usize, host: &str) {
        for number in 0..entries {
            self.world.answer(&name(number), None, &[host]);
        }
        for number in 0..entries {
            self.until_addresses(number, &[host]).await;
        }
    }

    /// All results, byte by byte.
    fn outputs(&self) -> BTreeMap<String, String> {
        let files = std::fs::read_dir(self.world.path("output")).unwrap().map(|file| file.unwrap());
        let read = |file: std::fs::DirEntry| {
            (file.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(file.path()).unwrap_or_default())
        };
        files.map(read).collect()
    }

    /// The addresses of an entry's endpoints.
    fn addresses(&self, number: usize) -> Vec<String> {
        let text = std::fs::read_to_string(self.world.output(&name(number))).unwrap_or_default();
        let address = |line: &str| {
            let line = line.trim().trim_start_matches("- ");
            Some(line.strip_prefix("address: ")?.trim_matches('"').to_owned())
        };
        text.lines().filter_map(address).collect()
    }

    async fn until_addresses(&self, number: usize, expected: &[&str]) {
        wait_for(&format!("entry {number} has {expected:?}"), SOON, || async {
            let found = self.addresses(number);
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
}

fn name(number: usize) -> String {
    format!("entry-{number}")
}

/// The digest of a module.
fn digest(behaviour: &str) -> String {
    polaris2istio::digest::Digest::of(&guest::variant(behaviour)).to_string()
}

/// The name by which commands call a module.
fn named(behaviour: &str) -> ModuleName {
    digest(behaviour).parse().unwrap()
}

/// The module in use.
fn active(state: &ModuleState) -> String {
    state.active.as_ref().map(|record| record.identity.module.to_string()).unwrap_or_default()
}

/// The candidate.
fn candidate(state: &ModuleState) -> String {
    state.candidate.as_ref().map(|pending| pending.module.identity.module.to_string()).unwrap_or_default()
}
