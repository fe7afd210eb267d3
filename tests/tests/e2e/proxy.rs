//! A relay of connections that notes what clients send, and can hold it back; and an HTTP proxy, which tunnels them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use polaris2istio_tests::wait_for;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::SOON;

/// A relay before a server, on a port of its own. It lives as long as the test's runtime.
pub(crate) struct Proxy {
    address: SocketAddr,
    notes: Arc<Notes>,
}

struct Notes {
    /// The bytes that clients sent, by connection.
    sent: Mutex<Vec<Vec<u8>>>,
    hold: watch::Sender<bool>,
    /// Bytes that wait here.
    held: watch::Sender<usize>,
}

impl Proxy {
    /// Starts one before the server at a host and port.
    pub(crate) async fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let notes =
            Arc::new(Notes { sent: Mutex::default(), hold: watch::Sender::new(false), held: watch::Sender::new(0) });
        tokio::spawn(accept(listener, server.to_owned(), Arc::clone(&notes)));
        Self { address, notes }
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// How often a text occurs in what clients sent.
    pub(crate) fn sent(&self, text: &str) -> usize {
        let sent = self.notes.sent.lock().unwrap();
        sent.iter().map(|bytes| String::from_utf8_lossy(bytes).matches(text).count()).sum()
    }

    /// How often Polaris was asked for a service.
    pub(crate) fn polls(&self, service: &str) -> usize {
        self.sent(&format!(r#""name":"{service}""#))
    }

    /// Waits until Polaris was asked for a service so many times more.
    pub(crate) async fn more_polls(&self, service: &str, more: usize) {
        let end = self.polls(service) + more;
        wait_for(&format!("{more} more polls"), SOON, || async {
            let polls = self.polls(service);
            if polls >= end { Ok(()) } else { Err(format!("{polls} of {end}")) }
        })
        .await;
    }

    /// From now on keeps what clients send.
    pub(crate) fn hold(&self) {
        self.notes.held.send_replace(0);
        self.notes.hold.send_replace(true);
    }

    /// Waits until at least so many bytes are kept.
    pub(crate) async fn holds(&self, bytes: usize) {
        wait_for("a request is held", SOON, || async {
            let held = *self.notes.held.borrow();
            if held >= bytes { Ok(()) } else { Err(format!("{held} bytes")) }
        })
        .await;
    }

    /// Sends on what is kept, and what follows.
    pub(crate) fn release(&self) {
        self.notes.hold.send_replace(false);
    }
}

async fn accept(listener: TcpListener, server: String, notes: Arc<Notes>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&server).await else {
            continue;
        };
        let (from_client, mut to_client) = client.into_split();
        let (mut from_server, to_server) = server.into_split();
        let connection = {
            let mut sent = notes.sent.lock().unwrap();
            sent.push(Vec::new());
            sent.len() - 1
        };
        tokio::spawn(relay(from_client, to_server, connection, Arc::clone(&notes)));
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    }
}

async fn relay(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, connection: usize, notes: Arc<Notes>) {
    let mut hold = notes.hold.subscribe();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        notes.sent.lock().unwrap()[connection].extend(&buffer[..length]);
        if *hold.borrow() {
            notes.held.send_modify(|held| *held += length);
        }
        let free = hold.wait_for(|hold| !hold).await.is_ok();
        if !free || server.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// An HTTP proxy that opens every tunnel that it is asked for. It lives as long as the test's runtime.
pub(crate) struct Tunnels {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let notes = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, Arc::clone(&notes)));
            }
        });
        Self { address, asked }
    }

    /// The requests of clients: a request line and headers each.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn tunnel(mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    asked.lock().unwrap().push(head);
    let mut server = TcpStream::connect(target).await.ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok().map(drop)
}
