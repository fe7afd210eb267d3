//! The socket: one command a connection, as a line of JSON, and its answer as another.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tracing::{debug, warn};

use super::Router;
use crate::rollout::Reply;

/// No command is longer.
const LONGEST: u64 = 64 << 10;
/// The longest time for a command to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);

/// A socket, ready to be served. The file is removed when this is dropped.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

/// The reasons why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another controller serves it.
    #[error("socket {0}: another controller serves it; give --socket another path")]
    Taken(PathBuf),
    /// It cannot be made.
    #[error("socket {path}: {source}; give --socket a path in a directory that this process can write")]
    Unusable { path: PathBuf, source: io::Error },
}

impl Socket {
    /// Makes the socket. One that an earlier process left behind is replaced.
    ///
    /// # Errors
    ///
    /// Another process serves it, or it cannot be made.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        let unusable = |source| SocketError::Unusable { path: path.into(), source };
        match UnixStream::connect(path).await {
            Ok(_) => return Err(SocketError::Taken(path.into())),
            // It was a socket, and no process listens.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(unusable)?;
            }
            Err(_) => {}
        }
        let listener = UnixListener::bind(path).map_err(unusable)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(unusable)?;
        Ok(Self { listener, path: path.into() })
    }

    /// Serves commands until the future is dropped.
    pub async fn serve(self, router: Arc<Router>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let router = Arc::clone(&router);
                    tokio::spawn(async move {
                        if let Err(error) = serve(stream, &router).await {
                            debug!("socket: {error}");
                        }
                    });
                }
                Err(error) => {
                    warn!("socket: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A file that cannot be removed is replaced by the next process.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn serve(mut stream: UnixStream, router: &Router) -> io::Result<()> {
    let (user, own) = (stream.peer_cred()?.uid(), rustix::process::geteuid().as_raw());
    // The file's mode says the same, but not in the moment before it is set.
    let reply = if user != own && user != 0 {
        Reply::Refused(format!("user {user} may not command a controller of user {own}"))
    } else {
        let mut line = String::new();
        let (reader, _) = stream.split();
        let mut reader = BufReader::new(reader.take(LONGEST));
        tokio::time::timeout(ARRIVES_WITHIN, reader.read_line(&mut line)).await??;
        match serde_json::from_str(&line) {
            Ok(command) => router.answer(command).await,
            Err(error) => Reply::Refused(format!("not a command of this release: {error}")),
        }
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    stream.write_all(&text).await
}
