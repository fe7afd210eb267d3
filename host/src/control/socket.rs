//! The socket: one command a connection, as a line of JSON, and its answer as another.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tracing::{debug, warn};

use super::Router;
use crate::rollout::{Giver, Reply};

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
    /// Something else is there, and is not ours to remove.
    #[error("socket {0}: it is there and is no socket; give --socket a path where nothing is")]
    NoSocket(PathBuf),
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
        // A file that is no socket refuses connections like one that nobody serves.
        if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
            return Err(SocketError::NoSocket(path.into()));
        }
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
        // Should it stay, the next process replaces it. What took its place meanwhile is somebody else's.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.file_type().is_socket()) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

async fn serve(mut stream: UnixStream, router: &Router) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let (user, own) = (peer.uid(), rustix::process::geteuid().as_raw());
    // The file's mode says the same, but not in the moment before it is set.
    let reply = if user != own && user != 0 {
        Reply::Refused(format!("user {user} may not command a controller of user {own}"))
    } else {
        let mut line = String::new();
        let (reader, _) = stream.split();
        let mut reader = BufReader::new(reader.take(LONGEST));
        tokio::time::timeout(ARRIVES_WITHIN, reader.read_line(&mut line)).await??;
        match serde_json::from_str(&line) {
            Ok(command) => router.answer(command, Giver::here(user, peer.pid())).await,
            Err(error) => Reply::Refused(format!("not a command of this release: {error}")),
        }
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    stream.write_all(&text).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_socket_that_nobody_serves_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "precious").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        std::fs::create_dir(path("directory")).unwrap();
        for name in ["file", "link", "directory"] {
            let bound = Socket::bind(&path(name)).await;
            assert!(matches!(bound, Err(SocketError::NoSocket(_))), "{name}");
        }
        assert_eq!(std::fs::read_to_string(path("link")).unwrap(), "precious");
        drop(std::os::unix::net::UnixListener::bind(path("left")).unwrap());
        let socket = Socket::bind(&path("left")).await.unwrap();
        assert!(matches!(Socket::bind(&path("left")).await, Err(SocketError::Taken(_))));
        std::fs::remove_file(path("left")).unwrap();
        std::fs::write(path("left"), "new").unwrap();
        drop(socket);
        assert_eq!(std::fs::read_to_string(path("left")).unwrap(), "new", "what took its place stays");
    }
}
