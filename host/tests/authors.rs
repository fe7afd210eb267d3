//! The start of a module's author: a project that leads nowhere into this repository, the world, and a WASI for those that
//! cannot do without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::{check, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The files below a directory but for what was built, by their paths in it.
fn files(directory: &Path) -> BTreeMap<PathBuf, String> {
    let (mut found, mut left) = (BTreeMap::new(), vec![directory.to_owned()]);
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("target") => {}
                true => left.push(path),
                false => {
                    let name = path.strip_prefix(directory).unwrap().to_owned();
                    found.insert(name, fs::read_to_string(path).unwrap());
                }
            }
        }
    }
    found
}

/// `wit/examples/run` builds these very projects.
#[test]
fn a_project_is_the_example_with_all_that_it_needs() {
    let directory = tempfile::tempdir().unwrap();
    for language in ["rust", "javascript", "typescript", "go", "c"] {
        let project = directory.path().join(language);
        check(&["module", "new", language, project.to_str().unwrap()], 0, &["/build"], &[]);
        let mut made = files(&project);
        for (name, text) in files(&root().join("wit/examples").join(language)) {
            let wanted = if name.ends_with("Cargo.toml") { text.replace("../../../core", "core") } else { text };
            assert_eq!(made.remove(&name), Some(wanted), "{language}: {}", name.display());
        }
        let world = fs::read_to_string(root().join("wit/converter.wit")).unwrap();
        assert_eq!(made.remove(Path::new("wit/converter.wit")), Some(world));
        made.retain(|name, _| !name.starts_with("core"));
        let rest: Vec<_> = made.keys().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(rest, [".gitignore", "README.md", "lib.sh"]);
        let build = fs::metadata(project.join("build")).unwrap();
        assert_eq!(build.permissions().mode() & 0o111, 0o111, "it can be run");
        check(&["module", "new", language, project.to_str().unwrap()], 1, &[], &["is not empty"]);
    }
    check(&["module", "new", "cobol", "x"], 2, &[], &["rust", "javascript", "go"]);
}

/// The types of TypeScript were made of the world by a tool that is not run here, so a change of the world must change them too.
#[test]
fn the_types_of_typescript_are_those_of_the_world() {
    let world = fs::read_to_string(root().join("wit/converter.wit")).unwrap();
    let types = fs::read_to_string(root().join("wit/examples/typescript/types/conversion.d.ts")).unwrap();
    let (package, version) =
        world.split_once("package ").unwrap().1.split_once(';').unwrap().0.split_once('@').unwrap();
    assert!(types.contains(&format!("declare module '{package}/conversion@{version}'")));
    let camel = |name: &str| {
        let mut parts = name.split('-');
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| text + &part[..1].to_uppercase() + &part[1..])
    };
    let (mut fields, mut record) = (0, false);
    for line in world.lines().map(str::trim) {
        record = line.starts_with("record ") || (record && line != "}");
        if let Some((name, _)) = line
            .strip_suffix(',')
            .filter(|line| record && !line.starts_with('/'))
            .and_then(|line| line.split_once(": "))
        {
            let name = camel(name.trim_start_matches('%'));
            assert!(types.contains(&format!("    {name}: ")) || types.contains(&format!("    {name}?: ")), "{name}");
            fields += 1;
        }
    }
    assert!(fields > 40, "the world has {fields} fields");
    let declared = types.lines().filter(|line| {
        line.starts_with("    ")
            && line.trim_end().ends_with(',')
            && line.contains(": ")
            && !line.contains("tag: ")
            && !line.contains("val: ")
    });
    assert_eq!(declared.count(), fields, "and no others");
}

#[test]
fn the_world_is_printed_and_written() {
    let directory = tempfile::tempdir().unwrap();
    let world = fs::read_to_string(root().join("wit/converter.wit")).unwrap();
    assert_eq!(check(&["module", "wit"], 0, &["world converter"], &[]), world);
    let spoken = json(&["module", "inspect", "embedded"], 0);
    let package = spoken["world"].as_str().unwrap().replace("/converter", "");
    assert!(world.contains(&format!("package {package};")), "it is the world that this program speaks: {spoken}");
    let place = directory.path().join("made/wit");
    check(&["module", "wit", place.to_str().unwrap()], 0, &["converter.wit"], &[]);
    assert_eq!(fs::read_to_string(place.join("converter.wit")).unwrap(), world);
}

#[test]
fn what_cannot_be_stubbed_pushed_or_watched_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (file, out) = (directory.path().join("in.wasm"), directory.path().join("out.wasm"));
    let (from, to) = (file.to_str().unwrap(), out.to_str().unwrap());
    check(&["module", "stub-wasi", from, to], 1, &[], &["in.wasm: cannot be read"]);
    fs::write(&file, "#!/bin/sh").unwrap();
    check(&["module", "stub-wasi", from, to], 1, &[], &["cannot be given a WASI of its own: it is no WebAssembly"]);
    assert!(!out.exists());
    check(&["module", "push", from, "mine.wasm"], 1, &[], &["names no registry", "oci://registry/repository:tag"]);
    check(&["module", "push", from, "oci://127.0.0.1:1/rules:v1"], 1, &[], &["in.wasm", "not WebAssembly"]);
    check(&["module", "pull", "embedded", to], 1, &[], &["names no registry"]);
    check(&["module", "test", "embedded", from, "--watch"], 1, &[], &["only a file or a directory is watched"]);
    check(&["module", "test", from, from, "--watch", "--update"], 2, &[], &["--update"]);
}
