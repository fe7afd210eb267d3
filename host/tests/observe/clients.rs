//! Clients that take what they can.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::controller::{Controller, DEADLINE, get, get_whole};

/// As many clients as the fault was found with.
const CLIENTS: usize = 130;
/// Entries whose status is some megabytes.
const MANY: usize = 4000;

fn connect(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[test]
fn half_a_head_keeps_no_probe_waiting() {
    let controller = Controller::start(1, &[]);
    let half = |address| connect(address, "GET /status HTTP/1.1\r\nhost: te");
    let addresses = [controller.pages, controller.probes];
    let _clients: Vec<_> = addresses.into_iter().flat_map(|address| (0..CLIENTS).map(move |_| half(address))).collect();
    for _ in 0..15 {
        for address in addresses {
            let asked = Instant::now();
            assert_eq!(get(address, "/livez", "").0, 200);
            assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        }
    }
    assert_eq!(get(controller.probes, "/metrics", "").0, 404, "probes alone are served there");
}

#[test]
fn clients_that_do_not_read_cost_little() {
    let controller = Controller::start(MANY, &[]);
    let start = Instant::now();
    while !get(controller.pages, "/status", "").1.contains(&format!("s{}", MANY - 1)) {
        assert!(start.elapsed() < DEADLINE);
    }
    let (_, status) = get(controller.pages, "/status", "");
    let (before, size) = (controller.memory(), status.len() as u64 >> 20);
    assert!(size >= 1, "it is large enough to be seen: {}", status.len());
    let ask = |_| connect(controller.pages, "GET /status HTTP/1.1\r\nhost: test\r\n\r\n");
    let _clients: Vec<_> = (0..CLIENTS).map(ask).collect();
    // The last of them is answered after all that stay.
    assert_eq!(get(controller.pages, "/status", "").0, 200);
    assert!(controller.memory() <= before + 8 * size + 8, "{before} MiB before, {} MiB now", controller.memory());
    assert_eq!(get(controller.probes, "/livez", "").0, 200);
}

#[test]
fn the_status_is_behind_a_token_if_asked_for() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret\n").unwrap();
    let controller = Controller::start(1, &["--status-token-file", file.path().to_str().unwrap()]);
    let status = |header: &str| get(controller.pages, "/status", header).0;
    assert_eq!((status(""), status("authorization: Bearer other\r\n")), (401, 401));
    let start = Instant::now();
    while status("authorization: Bearer secret\r\n") != 200 {
        assert!(start.elapsed() < DEADLINE, "it starts");
    }
    for path in ["/livez", "/metrics", "/page.css"] {
        assert_eq!(get(controller.pages, path, "").0, 200, "{path}");
    }
    for path in ["/", "/history", "/explain?entry=polaris/service-0", "/events"] {
        assert_eq!(get(controller.pages, path, "").0, 401, "{path}");
    }
    // A browser asks for it, and sends it as a password: `any:secret`.
    let (head, _) = get_whole(controller.pages, "/", "");
    assert!(head.contains("www-authenticate: basic realm="), "{head}");
    assert_eq!(get(controller.pages, "/", "authorization: Basic YW55OnNlY3JldA==\r\n").0, 200);
}

#[test]
fn only_get_is_answered() {
    let controller = Controller::start(1, &[]);
    let answer = |request: &str| {
        let mut stream = connect(controller.pages, request);
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
        text
    };
    let refused = answer("POST /status HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}");
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.to_lowercase().contains("allow: get,head"), "{refused}");
    let long = format!("GET /{} HTTP/1.1\r\nhost: test\r\n\r\n", "x".repeat(20_000));
    assert!(answer(&long).starts_with("HTTP/1.1 4"));
}
