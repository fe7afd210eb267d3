//! A file with parameters for the module: YAML, one pair a line, followed like a module's file is.

use std::path::Path;
use std::time::Duration;

use polaris2istio_core::parameters::{ADDRESS_CIDRS, ALLOW_LOOPBACK};
use serde_json::{Map, Value};
use tracing::error;

use super::Parameters;
use crate::source::{Follower, Settings, Source, SourceNews, fetch, follow};
use crate::text;

/// Parameters are a few words.
const SIZE_LIMIT: u64 = 64 << 10;

pub struct ParametersFile;

/// Such a file, followed. Following ends when this is dropped.
pub struct ParametersFollower {
    source: Follower,
    /// The last problem with it, told already.
    wrong: Option<String>,
}

impl ParametersFile {
    /// Reads a file once.
    ///
    /// # Errors
    ///
    /// It cannot be read, or does not hold pairs; in words that name the file.
    pub async fn read(path: &Path) -> Result<Parameters, String> {
        let content = fetch(&Source::File(path.into()), &settings()).await.map_err(|error| error.to_string())?;
        parse_parameters(&content.bytes).map_err(|problem| format!("{}: {problem}", path.display()))
    }

    pub fn follow(path: &Path) -> ParametersFollower {
        ParametersFollower { source: follow(Source::File(path.into()), settings()), wrong: None }
    }
}

impl ParametersFollower {
    /// Waits for the next parameters. What cannot be read is told once, and the last good ones go on.
    pub async fn next(&mut self) -> Parameters {
        loop {
            let problem = match self.source.next().await {
                SourceNews::Module(content) => match parse_parameters(&content.bytes) {
                    Ok(parameters) => {
                        self.wrong = None;
                        return parameters;
                    }
                    Err(problem) => format!("{}: {problem}", content.origin),
                },
                SourceNews::Failed(error) => error.to_string(),
                SourceNews::Recovered => continue,
            };
            if self.wrong.as_ref() != Some(&problem) {
                error!("parameters of the module: {problem}; the last good ones go on");
                self.wrong = Some(problem);
            }
        }
    }
}

fn settings() -> Settings {
    Settings { size_limit: SIZE_LIMIT, settle: Duration::from_millis(250), ..Settings::default() }
}

/// The parameters that a file holds.
///
/// # Errors
///
/// It does not hold pairs, or one that a flag sets.
pub fn parse_parameters(bytes: &[u8]) -> Result<Parameters, String> {
    let text = text::read(bytes).map_err(|problem| problem.to_string())?;
    let pairs: Map<String, Value> = serde_saphyr::from_str(text)
        .map_err(|error| format!("{}; write one `key: value` a line", text::yaml_problem(&error, 0)))?;
    let mut parameters = Parameters::new();
    for (key, value) in pairs {
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(format!("{key}: not a text; write `{key}: value`")),
        };
        check_key(&key)?;
        parameters.push((key, value));
    }
    Ok(parameters)
}

/// Checks that a parameter may be set for the module alone.
///
/// # Errors
///
/// The host has a rule of that name, which a flag sets for both.
pub fn check_key(key: &str) -> Result<(), String> {
    let flag = match key {
        ALLOW_LOOPBACK => "--allow-loopback",
        ADDRESS_CIDRS => "--address-cidrs",
        _ => return Ok(()),
    };
    Err(format!("{key} is a rule of the host too; give {flag} instead"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs() {
        let check =
            |text: &str, expected: Result<&[(&str, &str)], &str>| match (parse_parameters(text.as_bytes()), expected) {
                (Ok(parameters), Ok(expected)) => {
                    let expected: Parameters = expected.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
                    assert_eq!(parameters, expected, "{text}");
                }
                (Err(problem), Err(part)) => assert!(problem.contains(part), "{text}: {problem}"),
                (found, _) => panic!("{text}: {found:?}"),
            };
        check("env: prod\nlimit: 3\nall: true\n", Ok(&[("all", "true"), ("env", "prod"), ("limit", "3")]));
        check("{}", Ok(&[]));
        check("\u{feff}env: prod\r\n", Ok(&[("env", "prod")]));
        check("a: 1\na: 2\n", Err("line 2, column 1: the key `a` is there twice; remove one"));
        check("env: [a, b]\n", Err("env: not a text"));
        check("- a\n", Err("write one `key: value` a line"));
        check(&format!("{ALLOW_LOOPBACK}: true\n"), Err("--allow-loopback"));
    }
}
