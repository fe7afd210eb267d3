//! A server in Polaris's place that gives every request the same answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use polaris2istio_tests::wait_for;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::SOON;

/// The server. It lives as long as the test's runtime.
pub(crate) struct Canned {
    /// Host and port.
    pub(crate) address: String,
    requests: Arc<AtomicUsize>,
}

impl Canned {
    /// Starts one that answers with this HTTP status and body, and then closes the connection.
    pub(crate) async fn start(status: u16, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let answer =
            format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    // Until the body's last brace: an answer that comes before is an error of another kind.
                    while !request.ends_with(b"}") && client.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
                    let _ = client.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { address, requests }
    }

    /// Waits until it was asked so many times more.
    pub(crate) async fn more_requests(&self, more: usize) {
        let end = self.requests.load(Ordering::Relaxed) + more;
        wait_for("more requests come", SOON, || async {
            let requests = self.requests.load(Ordering::Relaxed);
            if requests >= end { Ok(()) } else { Err(requests) }
        })
        .await;
    }
}
