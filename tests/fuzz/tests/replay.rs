//! The inputs that the fuzzer starts from, and those that it once found, go through every target.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};

/// All files below a directory of this checkout.
fn files(directory: &str) -> Vec<PathBuf> {
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)];
    let mut found = Vec::new();
    while let Some(directory) = left.pop() {
        for item in std::fs::read_dir(&directory).unwrap().flatten() {
            if item.path().is_dir() { left.push(item.path()) } else { found.push(item.path()) }
        }
    }
    found.sort();
    found
}

#[test]
fn every_seed_and_every_find_passes() {
    let seeds = ["found", "seeds", "../../host/tests/fixtures/polaris", "../cases", "../../deploy/example"];
    let files: Vec<_> = seeds.into_iter().flat_map(files).collect();
    assert!(files.len() > 100, "{}", files.len());
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        for (name, target) in polaris2istio_fuzz::TARGETS {
            // Shown only where the target panics.
            println!("{name}: {}", path.display());
            target(&bytes);
        }
    }
}
