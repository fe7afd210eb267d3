//! Every arrow between rooms points down: a room of `host/src` uses those below it, never one above. The order stands here and
//! nowhere else; `lib.rs` lists the rooms in it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. Rooms of one line do not use each other, but for those that stand later in it.
const LAYERS: [&[&str]; 11] = [
    &[
        "annotation",
        "backoff",
        "clock",
        "digest",
        "hash",
        "lenient",
        "log_once",
        "percent",
        "redact",
        "tasks",
        "text",
        "title",
        "kube_watch",
        "tls",
        "http",
        "watch_dir",
    ],
    &["istio", "registry", "source"],
    &["plan", "state", "binding"],
    &["converter", "writes", "telemetry"],
    &["entries", "guard", "rollout", "election"],
    &["sink", "dns", "policy"],
    &["controller"],
    &["observe", "cases"],
    &["control"],
    &["run"],
    &["cli"],
];

fn ranks() -> BTreeMap<&'static str, usize> {
    LAYERS.iter().copied().flatten().enumerate().map(|(rank, room)| (*room, rank)).collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The room of a file: the first part of its path below `src`.
fn room(file: &Path) -> String {
    let below = file.strip_prefix(source()).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a text names by `crate::`, with the line of each; groups such as `crate::{a, b}` are read as well.
fn used(text: &str) -> Vec<(usize, String)> {
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut used = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for (position, _) in line.match_indices("crate::") {
            let rest = &line[position + "crate::".len()..];
            match rest.strip_prefix('{') {
                Some(group) => used.extend(group.split(',').map(|part| (number, word(part.trim())))),
                None => used.push((number, word(rest))),
            }
        }
    }
    used
}

/// One line for each arrow that points up, or into a room that the order does not have.
fn breaches(room: &str, file: &Path, text: &str, ranks: &BTreeMap<&str, usize>) -> String {
    let mut breaches = String::new();
    let Some(rank) = ranks.get(room) else {
        writeln!(breaches, "{}: the room `{room}` has no place in the order", file.display()).unwrap();
        return breaches;
    };
    for (line, used) in used(text) {
        match ranks.get(used.as_str()) {
            Some(other) if other <= rank => {}
            Some(_) => {
                writeln!(breaches, "{}:{line}: `{room}` uses `{used}`, a room that comes after it", file.display())
                    .unwrap()
            }
            None => writeln!(breaches, "{}:{line}: `{used}` has no place in the order", file.display()).unwrap(),
        }
    }
    breaches
}

#[test]
fn every_arrow_points_down() {
    let (mut all, ranks) = (Vec::new(), ranks());
    files(&source(), &mut all);
    assert!(all.len() > 100, "the sources are not where this test looks: {all:?}");
    let roots = ["lib", "main"];
    let mut found: Vec<_> = all
        .iter()
        .filter(|file| !roots.contains(&room(file).as_str()))
        .map(|file| breaches(&room(file), file, &fs::read_to_string(file).unwrap(), &ranks))
        .collect();
    found.sort();
    let found = found.concat();
    assert!(found.is_empty(), "move what is shared down, or the file up:\n{found}");
}

#[test]
fn an_arrow_that_points_up_is_found() {
    let check = |text: &str, expected: bool| {
        let found = breaches("guard", Path::new("guard/x.rs"), text, &ranks());
        assert_eq!(!found.is_empty(), expected, "{text}: {found}");
    };
    check("use crate::plan::Desired;", false);
    check("use crate::guard::Hold;", false);
    check("use crate::controller::Handle;", true);
    check("    fn of(x: crate::{istio::Port, sink::Sink}) {}", true);
    check("use crate::nowhere;", true);
}

#[test]
fn the_crate_lists_the_rooms_in_this_order() {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    let modules = text.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    let listed: Vec<_> = modules.map(|name| name.trim_end_matches(';')).collect();
    let layer = |room: &str| LAYERS.iter().position(|layer| layer.contains(&room));
    let mut sorted = listed.clone();
    sorted.sort_by_key(|room| layer(room));
    assert_eq!(listed, sorted, "lib.rs lists them from the ground up");
    assert_eq!(listed.len(), LAYERS.iter().map(|layer| layer.len()).sum::<usize>(), "each room stands once in both");
}
