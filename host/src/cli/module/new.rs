//! `module new`: a project of a conversion module that builds outside of this repository with one command.
//!
//! The projects are the examples of `wit/examples` themselves, which the build puts into the binary (`build.rs`), with the world
//! and, for Rust, the default rules as a library beside them.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::wit::{FILE, WORLD};

/// All files of the examples and of the default rules, by their paths in the repository.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

const EXAMPLES: &str = "\
Examples:
  polaris2istio module new rust my-rules && my-rules/build
  polaris2istio module new javascript my-rules && my-rules/build

The project is an example that works: its rules, its cases, the world and a README. `build` installs what is missing from package
registries, builds target/*.wasm, and runs the cases with the polaris2istio on PATH, or that POLARIS2ISTIO names.";

/// Arguments of `module new`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct NewArgs {
    /// The language of the rules
    #[arg(value_name = "LANGUAGE")]
    language: Language,
    /// The directory of the project, which is made
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    Javascript,
    Typescript,
    Go,
    C,
}

impl Language {
    /// The name of its example.
    fn example(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Javascript => "javascript",
            Self::Typescript => "typescript",
            Self::Go => "go",
            Self::C => "c",
        }
    }

    /// The file to begin with.
    fn rules(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Javascript => "module.js",
            Self::Typescript => "module.ts",
            Self::Go => "module.go",
            Self::C => "module.c",
        }
    }
}

pub(super) fn new(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let directory = &args.directory;
    if directory.read_dir().is_ok_and(|mut files| files.next().is_some()) {
        bail!("{}: is not empty; name a directory that is not there yet", directory.display());
    }
    let files = project(args.language);
    for (path, text) in &files {
        let path = directory.join(path);
        write(&path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    let (shown, rules) = (directory.display(), args.language.rules());
    writeln!(std::io::stdout(), "wrote {} files; change {shown}/{rules}, then: {shown}/build", files.len())?;
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(path, text)?;
    if path.file_name().is_some_and(|name| name == "build") {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The files of a project, by their paths in it.
fn project(language: Language) -> Vec<(String, String)> {
    let own = format!("wit/examples/{}/", language.example());
    let mut files = vec![
        (format!("wit/{FILE}"), WORLD.to_owned()),
        ("README.md".into(), readme(language)),
        (".gitignore".into(), "/target\n".into()),
    ];
    for (path, text) in FILES {
        if let Some(inside) = path.strip_prefix(&own) {
            files.push((inside.into(), (*text).to_owned()));
        } else if *path == "wit/examples/lib.sh" {
            files.push(("lib.sh".into(), (*text).to_owned()));
        } else if path.starts_with("core/") && language == Language::Rust {
            files.push(((*path).into(), (*text).to_owned()));
        }
    }
    for (path, text) in &mut files {
        match path.as_str() {
            // The one path that leads out of the example.
            "Cargo.toml" => *text = text.replace("../../../core", "core"),
            "core/Cargo.toml" => *text = standalone(text),
            _ => {}
        }
    }
    files
}

/// A manifest that takes nothing from a workspace.
fn standalone(manifest: &str) -> String {
    let mut text = String::new();
    for line in manifest.lines() {
        match line.split_once(".workspace = true").map(|(field, _)| field) {
            // Of the tests, which stay behind, and of the lints of this repository.
            _ if line == "[dev-dependencies]" => break,
            None => text.push_str(line),
            Some("version") => text.push_str(concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"")),
            Some("edition") => text.push_str("edition = \"2024\""),
            Some("rust-version") => text.push_str(concat!("rust-version = \"", env!("CARGO_PKG_RUST_VERSION"), "\"")),
            Some("license") => text.push_str(concat!("license = \"", env!("CARGO_PKG_LICENSE"), "\"")),
            Some("publish") => text.push_str("publish = false"),
            Some("serde") => text.push_str("serde = { version = \"1\", features = [\"derive\"] }"),
            Some("wit-bindgen") => {
                text.push_str(
                    "wit-bindgen = { version = \"=0.60.0\", default-features = false, features = [\"realloc\"] }",
                );
            }
            Some(_) => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn readme(language: Language) -> String {
    let rules = language.rules();
    format!(
        "# A conversion module\n\n\
         Rules of one's own for [polaris2istio](https://github.com/aeraki-mesh/polaris2istio): a component of the world in \
         `wit/converter.wit`, which documents every field.\n\n\
         - `{rules}` has the rules: begin there.\n\
         - `./build` installs what is missing, builds `target/*.wasm`, says what it is, and runs the cases; `./build --update` \
         writes what they expect.\n\
         - `cases/` has the cases: a ServiceEntry, an answer of the registry, and what is to come out.\n\n\
         While you change the rules, `polaris2istio module test target/*.wasm cases --watch` runs the cases after every build. \
         `polaris2istio module diff embedded target/*.wasm --cases cases` shows what differs from the default rules. Then name the \
         file by `--module`, or put it into a registry: `polaris2istio module push target/*.wasm \
         oci://registry.example.com/rules/mine:v1`.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_are_whole_and_lead_nowhere_else() {
        for language in Language::value_variants() {
            let files = project(*language);
            let has = |name: &str| files.iter().any(|(path, _)| path == name);
            for name in ["build", "lib.sh", "wit/converter.wit", "README.md", language.rules()] {
                assert!(has(name), "{language:?} has {name}");
            }
            assert!(files.iter().any(|(path, _)| path.starts_with("cases/") && path.ends_with("/outcome.json")));
            for (path, text) in files.iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
                assert!(!text.contains("../") && !text.contains("workspace = true"), "{language:?} {path}: {text}");
            }
            assert!(!files.iter().any(|(path, _)| path.contains("target/")), "{files:?}");
        }
    }
}
