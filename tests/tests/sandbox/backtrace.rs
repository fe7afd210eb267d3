//! An author sees where his module trapped: offline the calls that led there, by the names that it was built with.

use std::process::Command;

use crate::guest;
use crate::world::World;

#[test]
fn a_trap_names_the_calls_that_led_there() {
    let world = World::new();
    world.entry("one");
    world.answer("one", Some("recurse"), &["10.0.0.1"]);
    let case = world.path("cases/one");
    std::fs::create_dir_all(&case).unwrap();
    std::fs::copy(world.path("entries/one.yaml"), case.join("entry.yaml")).unwrap();
    std::fs::copy(world.path("answers/one.json"), case.join("answer.json")).unwrap();
    let path = |name: &str| case.join(name).display().to_string();
    let named = guest::named().display().to_string();
    for arguments in [
        vec!["module", "test", &named, &path("")],
        vec!["convert", "--entry", &path("entry.yaml"), "--answer", &path("answer.json"), "--module", &named],
    ] {
        let output = Command::new(polaris2istio_tests::binary()).args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("call stack exhausted"), "{arguments:?}: {said}");
        let frames = said.lines().filter(|line| line.contains("misbehaviour") && line.contains("recurse")).count();
        assert!((1..64).contains(&frames), "{frames} frames have the name: {said}");
    }
}
