//! Modules in directories that kubelet mounts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use polaris2istio::source::{Source, SourceNews, follow};

use crate::files::settings;
use crate::news::{failed, has, next};

/// Changes a directory as kubelet does: a new directory, and one symlink swapped.
fn swap(mount: &Path, number: usize, files: &[(&str, &[u8])]) {
    let version = mount.join(format!("..version-{number}"));
    fs::create_dir(&version).unwrap();
    for (name, bytes) in files {
        fs::write(version.join(name), bytes).unwrap();
    }
    let before = fs::read_link(mount.join("..data")).ok();
    symlink(version.file_name().unwrap(), mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    for (name, _) in files {
        if fs::symlink_metadata(mount.join(name)).is_err() {
            symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
        }
    }
    for entry in fs::read_dir(mount).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with("..") && files.iter().all(|(file, _)| *file != name) {
            fs::remove_file(mount.join(name)).unwrap();
        }
    }
    if let Some(before) = before {
        fs::remove_dir_all(mount.join(before)).unwrap();
    }
}

#[tokio::test]
async fn a_mount_that_is_not_there_yet_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let mount = directory.path().join("mount");
    let mut follower = follow(Source::Directory(mount.clone()), settings());
    failed(next(&mut follower).await, "mount: cannot be read: it does not exist");
    fs::create_dir(&mount).unwrap();
    failed(next(&mut follower).await, "no file in it is named *.wasm");
    swap(&mount, 0, &[("rules.wasm", b"rules"), ("README", b"")]);
    assert_eq!(next(&mut follower).await, SourceNews::Recovered);
    has(next(&mut follower).await, b"rules");
}

#[tokio::test]
async fn a_mounted_directory_survives_many_swaps() {
    let directory = tempfile::tempdir().unwrap();
    let mount = directory.path();
    swap(mount, 0, &[("a.wasm", b"module 0")]);
    let mut followers =
        [Source::Directory(mount.into()), Source::File(mount.join("a.wasm"))].map(|source| follow(source, settings()));
    for follower in &mut followers {
        has(next(follower).await, b"module 0");
    }
    // One by one: each is seen.
    for number in 1..=50 {
        let module = format!("module {number}");
        swap(mount, number, &[("a.wasm", module.as_bytes())]);
        for follower in &mut followers {
            has(next(follower).await, module.as_bytes());
        }
    }
    // In one go: the last is seen, and nothing else than what was there.
    let modules: Vec<String> = (51..=150).map(|number| format!("module {number}")).collect();
    for (module, number) in modules.iter().zip(51..) {
        swap(mount, number, &[("a.wasm", module.as_bytes())]);
    }
    for follower in &mut followers {
        loop {
            let SourceNews::Module(candidate) = next(follower).await else { panic!("no trouble") };
            let found = modules.iter().position(|module| candidate.bytes == module.as_bytes());
            if found.expect("a whole module") == modules.len() - 1 {
                break;
            }
        }
    }
    // Another key: the file is gone, the directory goes on.
    swap(mount, 151, &[("b.wasm", b"renamed")]);
    has(next(&mut followers[0]).await, b"renamed");
    failed(next(&mut followers[1]).await, "a.wasm: cannot be read: it does not exist");
    // Two keys: which one is meant?
    swap(mount, 152, &[("a.wasm", b"a"), ("b.wasm", b"b")]);
    failed(
        next(&mut followers[0]).await,
        "a.wasm, b.wasm are there, and only one can be the module; remove the others, or name one as file:",
    );
    assert_eq!(next(&mut followers[1]).await, SourceNews::Recovered);
    has(next(&mut followers[1]).await, b"a");
    swap(mount, 153, &[("b.wasm", b"renamed")]);
    assert_eq!(next(&mut followers[0]).await, SourceNews::Recovered);
}
