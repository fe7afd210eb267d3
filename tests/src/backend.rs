//! A workload: a small HTTP server on loopback that answers every request with
//! its own name.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// A running server; it ends when dropped.
pub struct Backend {
    port: u16,
    task: AbortHandle,
}

impl Backend {
    /// Starts one on a free port.
    pub async fn start(name: &str) -> Self {
        Self::serve("200 OK", name).await
    }

    /// Starts one that answers every request with an error.
    pub async fn start_sick(name: &str) -> Self {
        Self::serve("500 Internal Server Error", name).await
    }

    async fn serve(status: &str, name: &str) -> Self {
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{name}", name.len());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port of loopback");
        let port = listener.local_addr().expect("it listens").port();
        let task = tokio::spawn(serve(listener, answer)).abort_handle();
        Self { port, task }
    }

    /// Its port of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until it is aborted, and all its connections with it.
async fn serve(listener: TcpListener, text: String) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream, text.clone()));
    }
}

/// Answers requests without a body, one after the other.
async fn answer(mut stream: TcpStream, text: String) -> std::io::Result<()> {
    let mut seen = Vec::new();
    loop {
        if stream.read_buf(&mut seen).await? == 0 {
            return Ok(());
        }
        while let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            seen.drain(..end + 4);
            stream.write_all(text.as_bytes()).await?;
        }
    }
}
