//! The hostile suite with the memory that the manifests give a pod: a real process, which no module may end, and beside which no other
//! entry waits. Each kind of module comes out as one line.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use polaris2istio::control::{Command as Asked, ask};
use polaris2istio::digest::Digest;
use polaris2istio_tests::memory;
use polaris2istio_tests::servers::{Process, Program};
use serde_json::Value;

use crate::guest;
use crate::hostile::{component, function, half, heavy, of_functions, section};
use crate::world::World;

/// What `deploy/kustomize/base/deployment.yaml` gives.
const MEMORY: u64 = 512 << 20;
const SOON: Duration = Duration::from_secs(120);
/// How long a change of a service may take to its entry: without trouble it is a fifth of a second.
const OTHERS: Duration = Duration::from_secs(5);

/// What a module does with one service while it converts the others.
const BEHAVIOURS: [&str; 18] = [
    "panic",
    "loop",
    "allocate",
    "recurse",
    "long-output",
    "many-outputs",
    "not-text",
    "fail",
    "unchanged",
    "forbidden-address",
    "empty",
    "reject",
    "weight-zero",
    "foreign-annotation",
    "unknown-port",
    "many-words",
    "long-words",
    "long-failure",
];

/// A directory of the kernel that bounds the memory of all processes in it together. Removed at the end.
struct Group(PathBuf);

impl Group {
    /// Only the second version, and only where it is ours to divide.
    fn new() -> Option<Self> {
        // Elsewhere a directory of this name would be one like any other, and bound nothing.
        std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").ok().filter(|all| all.contains("memory"))?;
        let path = PathBuf::from(format!(
            "/sys/fs/cgroup/polaris2istio-test-{}-{}",
            std::process::id(),
            rand::random::<u32>()
        ));
        std::fs::create_dir(&path).ok()?;
        let group = Self(path);
        std::fs::write(group.0.join("memory.max"), MEMORY.to_string()).ok()?;
        // Without swap, as in a cluster; a kernel may have none.
        let _ = std::fs::write(group.0.join("memory.swap.max"), "0");
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// A controller of its own process, within the limit.
struct Cramped {
    // Dropped in this order: the process before its files and its limit.
    process: Process,
    world: World,
    _group: Option<Group>,
}

impl Cramped {
    fn start(names: &[String]) -> Self {
        let world = World::new();
        for name in names {
            world.entry(name);
            world.answer(name, None, &["10.0.0.1", "10.0.0.2"]);
        }
        world.write("module.wasm", &guest::variant("tag-one"));
        let group = Group::new();
        // The shell limits itself, and becomes the controller.
        let limit = match &group {
            Some(Group(path)) => format!("echo $$ > {}/cgroup.procs", path.display()),
            None => format!("ulimit -d {}", MEMORY >> 10),
        };
        let by = group.as_ref().map_or("rlimit of private memory", |_| "cgroup");
        println!("512 MiB by a {by}");
        let path = |name: &str| world.path(name);
        let process = Program::new(Path::new("sh"), &path("."))
            .args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")])
            .arg(polaris2istio_tests::binary())
            .arg("--answers")
            .arg(path("answers"))
            .arg("--entries")
            .arg(path("entries"))
            .arg("--output")
            .arg(path("output"))
            .arg("--module")
            .arg(path("module.wasm"))
            .arg("--socket")
            .arg(path("socket"))
            .arg("--state")
            .arg(format!("file:{}", path("state.json").display()))
            .args(["--module-compile-time", "5s", "--empty-hold", "never", "--fleet-limit", "100%"])
            .start();
        let cramped = Self { process, world, _group: group };
        names.iter().for_each(|name| cramped.until_written(name, "10.0.0.1", SOON));
        cramped
    }

    fn output(&self, name: &str) -> String {
        std::fs::read_to_string(self.world.output(name)).unwrap_or_default()
    }

    fn until_written(&self, name: &str, host: &str, within: Duration) {
        self.until(&format!("{name} has {host}"), within, || {
            let text = self.output(name);
            let has = text.contains(&format!("address: {host}\n")) || text.contains(&format!("address: \"{host}\"\n"));
            if has { Ok(()) } else { Err(text.clone()) }
        });
    }

    #[track_caller]
    fn until<T>(&self, what: &str, within: Duration, look: impl Fn() -> Result<T, String>) -> T {
        let begun = Instant::now();
        loop {
            match look() {
                Ok(found) => return found,
                Err(found) => assert!(begun.elapsed() < within, "{what}: {found}\n{}", self.process.log_tail()),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How long the change of a sound service takes to its entry.
    fn change(&self, name: &str, host: &str) -> Duration {
        let begun = Instant::now();
        self.world.answer(name, None, &[host]);
        self.until_written(name, host, OTHERS);
        begun.elapsed()
    }

    fn assert_lives(&mut self) {
        let ended = self.process.ended();
        assert!(ended.is_none(), "it ended with {ended:?}\n{}", self.process.log_tail());
    }

    fn modules(&self) -> Value {
        ask(&self.world.path("socket"), &Asked::ModuleStatus).unwrap_or_default()
    }

    /// The most memory that it had at once, in MiB.
    fn most(&self) -> u64 {
        memory(self.process.id()).map_or(0, |memory| memory.peak >> 10)
    }
}

#[test]
fn no_process_ends_of_what_a_module_does_with_some_services() {
    let sound = "sound".to_owned();
    let hostile: Vec<_> = BEHAVIOURS.iter().map(|behaviour| format!("is-{behaviour}")).collect();
    let names: Vec<_> = hostile.iter().chain([&sound]).cloned().collect();
    let mut cramped = Cramped::start(&names);
    // One after the other, and then all together.
    for (at, (name, behaviour)) in hostile.iter().zip(BEHAVIOURS).enumerate() {
        cramped.world.answer(name, Some(behaviour), &["10.0.0.3"]);
        let took = cramped.change(&sound, &format!("10.0.1.{at}"));
        println!("{behaviour}: another entry's change took {took:.1?}");
        cramped.assert_lives();
    }
    for round in 0..5 {
        for (name, behaviour) in hostile.iter().zip(BEHAVIOURS) {
            cramped.world.answer(name, Some(behaviour), &[&format!("10.0.2.{round}")]);
        }
        let took = cramped.change(&sound, &format!("10.0.3.{round}"));
        println!("all together: another entry's change took {took:.1?}, at most {} MiB", cramped.most());
        cramped.assert_lives();
    }
    for name in &hostile {
        assert!(cramped.output(name).contains("address: "), "{name} keeps endpoints: {}", cramped.output(name));
    }
}

#[test]
fn no_process_ends_of_a_module_that_is_offered() {
    let sound = "sound".to_owned();
    let mut cramped = Cramped::start(&[sound.clone(), "other".into()]);
    let kind = vec![0x60, 1, 0x7e, 0];
    let many_memories = component(&[section(5, &vec![vec![0, 1]; 9])]);
    let many_functions = component(&[section(1, &[kind]), section(3, &vec![vec![0]; 200_001])]);
    let mut offered = vec![
        ("an empty file", Vec::new()),
        ("half a file", half(guest::misbehaving())),
        ("too many variables", of_functions(&[function(12_501, b"")])),
        ("too many memories", many_memories),
        ("functions without bodies", many_functions),
        ("5 MiB", vec![0; 5 << 20]),
        ("one that a compiler chokes on", heavy()),
    ];
    // A comparison with one takes some seconds, so these are those that take most.
    let variants = ["panic", "loop", "allocate", "recurse", "long-output", "long-failure"];
    offered.extend(variants.map(|behaviour| (behaviour, guest::variant(behaviour))));
    for (at, (kind, bytes)) in offered.into_iter().enumerate() {
        let digest = Digest::of(&bytes).to_string();
        cramped.world.write("module.wasm", &bytes);
        let took = cramped.change(&sound, &format!("10.0.1.{at}"));
        let begun = Instant::now();
        let said = cramped.until(kind, SOON, || {
            let status = cramped.modules();
            let trouble = status["sourceTrouble"]["reason"].as_str().unwrap_or_default();
            let is_ours = status["candidate"]["module"] == *digest || status["active"]["module"] == *digest;
            let is_done = status["loading"].is_null();
            match is_ours {
                true => Ok(status["candidate"]["objections"].to_string()),
                false if is_done && trouble.contains("module.wasm") => Ok(trouble.to_owned()),
                false => Err(status.to_string()),
            }
        });
        let said: String = said.chars().take(160).collect();
        println!("{kind}: another entry's change took {took:.1?}; after {:.1?}: {said}", begun.elapsed());
        cramped.change(&sound, &format!("10.0.2.{at}"));
        cramped.assert_lives();
        // The next one's trouble is to be told from this one's.
        cramped.world.write("module.wasm", &guest::variant("tag-one"));
        cramped.until("the source is well", SOON, || {
            let status = cramped.modules();
            let is_well = status["sourceTrouble"].is_null() && status["candidate"].is_null();
            if is_well { Ok(()) } else { Err(status.to_string()) }
        });
    }
    println!("at most {} MiB", cramped.most());
}
