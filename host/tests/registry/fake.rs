//! A server that answers as told, and misbehaves as told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How long anything may take before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The requests to the server.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    /// In lower case, as `name: value`.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

impl Asked {
    pub(crate) fn name(&self) -> &str {
        self.body["service"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn revision(&self) -> &str {
        self.body["service"]["revision"].as_str().unwrap_or_default()
    }
}

/// The behaviour of the server.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers in good order, with more header lines, each ended.
    Answer(u16, String, String),
    /// Sends these bytes and closes.
    Bytes(String),
    /// Sends a body of zeros, as many megabytes, in chunks.
    Chunked(usize),
    /// Sends these bytes, and then nothing.
    Stall(String),
    /// Says nothing.
    Hang,
    /// Closes the connection.
    Close,
}

impl Reply {
    /// An answer of Polaris: its code is in the body, and in the headers unless it is 200000.
    pub(crate) fn polaris(body: impl Into<String>) -> Self {
        let body = body.into();
        let value: Value = serde_json::from_str(&body).unwrap();
        let code = value["code"].as_u64().unwrap();
        let header = if code == 200_000 { String::new() } else { format!("X-Polaris-Code: {code}\r\n") };
        Self::Answer(u16::try_from(code / 1_000).unwrap(), header, body)
    }

    pub(crate) fn unchanged() -> Self {
        // The body means nothing, so it may be anything.
        Self::Answer(200, "X-Polaris-Code: 200001\r\n".to_owned(), "no JSON at all".to_owned())
    }
}

type Rule = Box<dyn FnMut(&Asked) -> Reply + Send>;

struct State {
    asked: Vec<Asked>,
    connections: usize,
    rule: Rule,
}

/// The server; it ends, with all connections, when dropped.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub(crate) async fn start(rule: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), rule).await
    }

    pub(crate) async fn start_at(address: SocketAddr, rule: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { asked: Vec::new(), connections: 0, rule: Box::new(rule) }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    pub(crate) fn rule(&self, rule: impl FnMut(&Asked) -> Reply + Send + 'static) {
        self.state.lock().unwrap().rule = Box::new(rule);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Waits until what the server was asked satisfies a condition, which is then returned.
    pub(crate) async fn wait_for<T>(&self, what: &str, mut condition: impl FnMut(&[Asked]) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = condition(&self.asked()) {
                return found;
            }
            assert!(start.elapsed() < DEADLINE, "no {what} in time; asked: {:#?}", self.asked());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits for so many more requests.
    pub(crate) async fn wait_for_more(&self, count: usize) {
        let before = self.asked().len();
        self.wait_for("further requests", |asked| (asked.len() >= before + count).then_some(())).await;
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let asked = read(&mut stream).await?;
        let reply = {
            let mut state = state.lock().unwrap();
            state.asked.push(asked.clone());
            (state.rule)(&asked)
        };
        match reply {
            Reply::Answer(status, headers, body) => {
                let length = body.len();
                let text = format!("HTTP/1.1 {status} Words\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
                stream.write_all(text.as_bytes()).await.ok()?;
            }
            Reply::Bytes(text) => {
                stream.write_all(text.as_bytes()).await.ok()?;
                return stream.shutdown().await.ok();
            }
            Reply::Chunked(megabytes) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.ok()?;
                let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
                for _ in 0..megabytes {
                    stream.write_all(&chunk).await.ok()?;
                }
                stream.write_all(b"0\r\n\r\n").await.ok()?;
            }
            Reply::Stall(text) => {
                stream.write_all(text.as_bytes()).await.ok()?;
                std::future::pending::<()>().await;
            }
            Reply::Hang => std::future::pending().await,
            Reply::Close => return None,
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = lines.remove(0);
    let headers: Vec<String> = lines.iter().map(|line| line.to_lowercase()).collect();
    let length = headers.iter().find_map(|header| header.strip_prefix("content-length: "));
    let length = length.map(|length| length.parse().ok()).unwrap_or((!line.starts_with("POST")).then_some(0))?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked {
        line,
        headers,
        body: if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).ok()? },
        at: Instant::now(),
    })
}
