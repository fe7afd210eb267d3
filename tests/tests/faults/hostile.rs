//! Faults that clients make: those that say half of what they want, a byte at a time, and those that ask for much and do not
//! read it. The probes are answered all the while, and entries are written.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use polaris2istio_tests::wait_for;
use serde_json::Value;

use super::SOON;
use super::controller::{Controller, Start};
use super::row::Row;
use super::stage::Stage;

/// How often instances come and go meanwhile, each followed by probes.
const TURNS: usize = 6;
const TURN: Duration = Duration::from_secs(2);
/// As many clients as either fault was found with.
const CLIENTS: usize = 130;
/// The longest that a probe may take: the kubelet's own time-out.
const PROBE: Duration = Duration::from_secs(1);

/// The rows.
pub(crate) const ROWS: [Row; 3] = [
    Row::new("clients: half a head, byte by byte", |stage| play(stage, HALF, true).boxed_local()).with(served).quick(),
    Row::new("clients: /status and no reading", |stage| play(stage, STATUS, false).boxed_local()).with(served).quick(),
    Row::new("clients: /events and no reading", |stage| play(stage, EVENTS, false).boxed_local()).with(served),
];

const HALF: &str = "GET /livez HTTP/1.1\r\nhost: te";
const STATUS: &str = "GET /status HTTP/1.1\r\nhost: test\r\n\r\n";
const EVENTS: &str = "GET /events HTTP/1.1\r\nhost: test\r\n\r\n";

fn served(start: Start) -> Start {
    start.http().flag("probe-address", "127.0.0.1:0")
}

/// Clients that send this to both addresses, come again when they are sent away, and with `trickle` send a byte more each turn.
async fn play(stage: &mut Stage<'_>, request: &'static str, trickle: bool) {
    let addresses = [address(&stage.controller, "address").await, address(&stage.controller, "probes").await];
    let mut clients = Vec::new();
    for _ in 0..TURNS {
        clients.retain_mut(|client| still_there(client, trickle));
        while clients.len() < CLIENTS * addresses.len() {
            let client = TcpStream::connect(addresses[clients.len() % addresses.len()]).unwrap();
            client.set_nonblocking(true).unwrap();
            // Whoever is sent away at once comes again at the next turn.
            let _ = std::io::Write::write_all(&mut &client, request.as_bytes());
            clients.push(client);
        }
        for path in ["livez", "readyz"] {
            probe(addresses[1], path).await;
        }
        stage.hold(TURN).await;
    }
}

async fn probe(address: SocketAddr, path: &str) {
    let asked = Instant::now();
    let answer = reqwest::Client::new().get(format!("http://{address}/{path}")).timeout(SOON).send().await.unwrap();
    assert!(answer.status().is_success(), "/{path}: {}", answer.status());
    assert!(asked.elapsed() < PROBE, "/{path} took {:?}", asked.elapsed());
}

/// Whether the other side still has the connection; an answer is not read.
fn still_there(client: &mut TcpStream, trickle: bool) -> bool {
    let sent = if trickle { std::io::Write::write(client, b"s").is_ok() } else { true };
    let nothing = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    // One byte is looked at, and stays where it is.
    sent && client.peek(&mut [0]).map_or_else(nothing, |count| count > 0)
}

/// Where it serves, by its log.
async fn address(controller: &Controller, field: &str) -> SocketAddr {
    wait_for("HTTP is served", SOON, || async {
        let lines = controller.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let said = lines.filter_map(|line| line["fields"][field].as_str()?.parse().ok()).next_back();
        said.ok_or("not yet")
    })
    .await
}
