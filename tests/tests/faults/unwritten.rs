//! The lines that a controller could not write to a log whose disk is full: a panic's message may be among them, and would
//! be seen nowhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use polaris2istio_tests::servers::Directory;

use super::controller::Start;

/// The lines that are lost, and the library that keeps them for the test.
pub(crate) struct Unwritten {
    directory: Directory,
    library: PathBuf,
}

impl Unwritten {
    /// Builds the library, by the compiler that Rust links with.
    pub(crate) fn new() -> Self {
        let directory = Directory::new("unwritten");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/unwritten.c");
        let library = directory.path().join("unwritten.so");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
        assert!(built.is_ok_and(|status| status.success()), "cc (Debian package build-essential)");
        Self { directory, library }
    }

    /// Starts a controller with it.
    pub(crate) fn of(&self, start: Start) -> Start {
        start
            .env("LD_PRELOAD", &self.library.display().to_string())
            .env("UNWRITTEN", &self.file().display().to_string())
    }

    /// The lines lost so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.file()).unwrap_or_default()).into_owned()
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("text")
    }
}
