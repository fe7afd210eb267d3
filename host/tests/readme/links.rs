//! The targets of the documents exist: links with their anchors, and the paths that developers are sent to.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::docs::{Document, root};

/// The ends of paths that stand for files of this repository, and directories.
const ENDINGS: [&str; 8] = [".rs", ".md", ".toml", ".yaml", ".json", ".wit", ".mod", "/"];

#[test]
fn links_lead_somewhere() {
    let documents = Document::all();
    let anchors: HashMap<_, _> =
        documents.iter().map(|document| (PathBuf::from(&document.path), anchors(document))).collect();
    let mut count = 0;
    for document in &documents {
        let path = Path::new(&document.path);
        for link in document.prose().flat_map(links).filter(|link| !link.contains("://")) {
            let (target, anchor) = link.split_once('#').map_or((link, None), |(target, anchor)| (target, Some(anchor)));
            let target = if target.is_empty() { path.to_owned() } else { resolved(path, target) };
            assert!(root().join(&target).exists(), "{}: ({link}) leads to no file", document.path);
            if let Some(anchor) = anchor {
                let known =
                    anchors.get(&target).unwrap_or_else(|| panic!("{}: ({link}) is no document", document.path));
                assert!(known.iter().any(|known| known == anchor), "{}: ({link}) is none of {known:?}", document.path);
            }
            count += 1;
        }
    }
    assert!(count > 40, "{count} links");
}

/// A path in backticks is one from the root, or in the map of the host from its sources.
#[test]
fn paths_for_developers_are_there() {
    for (document, base) in [("host/README.md", "host/src"), ("tests/README.md", ""), (".github/CONTRIBUTING.md", "")] {
        let document = Document::read(document);
        let paths: Vec<_> = document.prose().flat_map(quoted).filter(|text| is_path(text)).collect();
        assert!(!paths.is_empty(), "{} names no path", document.path);
        for path in paths {
            let there = root().join(path).exists() || root().join(base).join(path).exists();
            assert!(there, "{}: `{path}` is not there, neither from the root nor from {base:?}", document.path);
        }
    }
}

/// The map has every room of the crate, and in its order: that of the groups in `lib.rs`.
#[test]
fn the_map_has_every_room() {
    let crate_root = Document::read("host/src/lib.rs").text;
    let groups = crate_root.split("\n\n").map(|group| {
        let modules = group.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
        modules.map(|name| name.trim_end_matches(';').to_owned()).collect::<Vec<_>>()
    });
    let groups: Vec<_> = groups.filter(|group| !group.is_empty()).collect();
    let place = |room: &String| groups.iter().position(|group| group.contains(room));
    let map = Document::read("host/README.md").text;
    let (_, rooms) = map.split_once("## The rooms\n").expect("the map has the rooms");
    let rows = rooms.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
    let mut rooms: Vec<_> = rows
        .flat_map(|row| quoted(row.split('|').nth(1).unwrap()))
        .map(|path| path.trim_end_matches('/').trim_end_matches(".rs").to_owned())
        .collect();
    rooms.dedup();
    let places: Vec<_> = rooms.iter().map(place).collect();
    assert!(places.is_sorted() && !places.contains(&None), "lib.rs has {groups:?}, host/README.md {rooms:?}");
    assert_eq!(
        rooms.len(),
        groups.iter().map(Vec::len).sum::<usize>(),
        "lib.rs has {groups:?}, host/README.md {rooms:?}"
    );
}

/// The targets of a line's links.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).map(|rest| rest.split(')').next().unwrap())
}

/// The parts of a line in backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether it is written as a path of this repository: no flag, no pattern, no place on the machine, no bare name of a file
/// that many directories have.
fn is_path(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    let ends = ENDINGS.iter().any(|ending| text.ends_with(ending));
    let place = text.contains('/') || text.ends_with(".rs");
    place && ends && text.chars().all(plain) && !text.starts_with(['/', '-'])
}

/// A link's target as a path from the root.
fn resolved(document: &Path, target: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in document.parent().unwrap_or(Path::new("")).join(target).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{}: ({target}) leads out", document.display()),
            part => path.push(part),
        }
    }
    path
}

/// The names that headings have in links, as GitHub makes them.
fn anchors(document: &Document) -> Vec<String> {
    let headings =
        document.prose().filter_map(|line| line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' '));
    let name = |heading: &str| {
        let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(name).collect()
}
