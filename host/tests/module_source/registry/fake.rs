//! A registry that misbehaves as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::reply::{Reply, status};
use crate::news::SOON;

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) authorization: Option<String>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) replies: BTreeMap<String, Reply>,
    /// A request that presents this is answered; others get the challenge.
    guard: Option<(String, Reply)>,
    pub(super) requests: Vec<Request>,
    /// How much of endless bodies was taken.
    pub(super) poured: u64,
}

/// An HTTP server with a reply for each path.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) port: u16,
    pub(super) state: Arc<Mutex<State>>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        Self::start_at(0).await
    }

    pub(super) async fn start_at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let fake = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        fake
    }

    async fn serve(self, mut stream: TcpStream) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
            if head[0] == 0x16 {
                // A client begins to speak TLS, and servers without it answer so.
                return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
            }
        }
        let head = String::from_utf8(head).unwrap();
        let mut words = head.split_whitespace();
        let request = Request {
            method: words.next()?.into(),
            target: words.next()?.into(),
            authorization: head.lines().find_map(|line| line.strip_prefix("authorization: ")).map(str::to_owned),
        };
        let reply = {
            let mut state = self.state.lock().unwrap();
            state.requests.push(request.clone());
            let path = request.target.split('?').next()?;
            let known = state.replies.get(path).cloned().unwrap_or_else(|| status(404));
            match &state.guard {
                Some((key, challenge)) if path.starts_with("/v2/") && request.authorization.as_ref() != Some(key) => {
                    challenge.clone()
                }
                _ => known,
            }
        };
        let head = |status: u16, length: Option<u64>, headers: &[(&str, String)]| {
            let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
            if let Some(length) = length {
                head += &format!("content-length: {length}\r\n");
            }
            for (name, value) in headers {
                head += &format!("{name}: {value}\r\n");
            }
            (head + "\r\n").into_bytes()
        };
        match reply {
            Reply::Full(status, headers, body) => {
                let mut answer = head(status, Some(body.len() as u64), &headers);
                if request.method != "HEAD" {
                    answer.extend(body);
                }
                stream.write_all(&answer).await.ok()?;
            }
            Reply::Truncated(body) => {
                let mut answer = head(200, Some(body.len() as u64 + 1), &[]);
                answer.extend(body);
                stream.write_all(&answer).await.ok()?;
            }
            Reply::Endless(length) => {
                stream.write_all(&head(200, length, &[])).await.ok()?;
                loop {
                    stream.write_all(&[0; 1000]).await.ok()?;
                    self.state.lock().unwrap().poured += 1000;
                }
            }
            Reply::Silence => std::future::pending().await,
        }
        stream.shutdown().await.ok()
    }

    pub(super) fn set(&self, path: impl Into<String>, reply: Reply) {
        self.state.lock().unwrap().replies.insert(path.into(), reply);
    }

    pub(super) fn guard(&self, key: &str, challenge: Reply) {
        self.state.lock().unwrap().guard = Some((key.into(), challenge));
    }

    pub(super) fn requests(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.requests.iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    /// Waits until it was asked so often.
    pub(super) async fn asked(&self, what: &str, times: usize) {
        let count = || self.requests().iter().filter(|request| request.starts_with(what)).count();
        let enough = async {
            while count() < times {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, enough).await.unwrap_or_else(|_| panic!("{what}: {} times", count()));
    }
}
