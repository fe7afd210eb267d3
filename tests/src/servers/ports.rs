//! Free ports for servers that must be told theirs.
//!
//! They are taken below the range that the kernel hands out (32768 and up):
//! a server that is stopped and started again on its port would else find,
//! now and then, that some client's connection has it meanwhile. Between the
//! look and the use another process may still take one, so whoever starts a
//! server tries again with another when the start fails.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 11_000;
const COUNT: u32 = 21_000;

/// A port of 127.0.0.1 that no process listens on, and that this process is
/// not given twice in a while.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes start far apart, so that two at once do not race for each port.
    let start = std::process::id().wrapping_mul(7919) % COUNT;
    (0..COUNT)
        .map(|_| (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT + FIRST)
        .map(|port| u16::try_from(port).expect("the range ends below 65536"))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("some port of the range is free")
}
