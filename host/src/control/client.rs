//! The other end of the socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::Command;
use crate::rollout::Reply;

/// The longest wait for an answer: longer than that for a leader.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// The reasons why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No controller serves the socket, or not in time.
    #[error(
        "socket {path}: {source}; a controller serves it where it runs with --socket {path}, in a cluster inside its pod: `kubectl exec -n polaris2istio deploy/polaris2istio -- polaris2istio status`",
        path = path.display()
    )]
    Socket { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Refused(String),
}

/// Sends a command to the controller that serves a socket, and waits for the result.
///
/// # Errors
///
/// There is no controller, or it refuses.
pub fn ask(path: &Path, command: &Command) -> Result<Value, AskError> {
    match talk(path, command) {
        Ok(Reply::Done(value)) => Ok(value),
        Ok(Reply::Refused(problem)) => Err(AskError::Refused(problem)),
        Err(source) => Err(AskError::Socket { path: path.into(), source }),
    }
}

fn talk(path: &Path, command: &Command) -> std::io::Result<Reply> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let mut text = serde_json::to_vec(command)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
