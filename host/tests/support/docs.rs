//! The documents in this repository, and which of them holds what the tests compare with the code.

use std::fs;
use std::path::{Path, PathBuf};

/// What is compared, and the document that it stands in. Who moves a part to another document says so here.
const PLACES: [(&str, &str); 9] = [
    ("quickstart", "README.md"),
    ("flags", "deploy/docs/configuration.md"),
    ("annotations", "deploy/docs/configuration.md"),
    ("diagnostics", "deploy/docs/configuration.md"),
    ("installation", "deploy/docs/install.md"),
    ("image", "deploy/docs/install.md"),
    ("names left over", "deploy/docs/dns.md"),
    ("live commands", "deploy/docs/modules.md"),
    ("tests", "tests/README.md"),
];

/// A document, by its path from the root.
pub(crate) struct Document {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Document {
    pub(crate) fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    /// The one that holds a part, by the table of places.
    pub(crate) fn with(part: &str) -> Self {
        let (_, path) = PLACES.into_iter().find(|(name, _)| *name == part).expect("the table names the part");
        Self::read(path)
    }

    /// Those for users: the README, and what it leads to.
    pub(crate) fn for_users() -> Vec<Self> {
        let directory = fs::read_dir(root().join("deploy/docs")).unwrap();
        let files = directory.map(Result::unwrap).filter(|file| file.path().is_file());
        let mut names: Vec<_> = files.map(|file| file.file_name().into_string().unwrap()).collect();
        names.sort();
        let paths = names.iter().map(|name| format!("deploy/docs/{name}"));
        [String::from("README.md")].into_iter().chain(paths).map(|path| Self::read(&path)).collect()
    }

    /// The runbooks of the alerts.
    pub(crate) fn runbooks() -> Vec<Self> {
        let directory = fs::read_dir(root().join("deploy/docs/runbooks")).unwrap();
        let mut names: Vec<_> = directory.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names.iter().map(|name| Self::read(&format!("deploy/docs/runbooks/{name}"))).collect()
    }

    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let others =
            ["wit/README.md", "host/README.md", "host/CHANGELOG.md", "tests/README.md", ".github/CONTRIBUTING.md"];
        Self::for_users().into_iter().chain(Self::runbooks()).chain(others.map(Self::read)).collect()
    }

    /// The text without its blocks of code, line by line.
    pub(crate) fn prose(&self) -> impl Iterator<Item = &str> {
        let mut inside = false;
        self.text.lines().filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            !inside && !fence
        })
    }

    /// The blocks of commands for a shell.
    pub(crate) fn scripts(&self) -> impl Iterator<Item = &str> {
        self.text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap())
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
