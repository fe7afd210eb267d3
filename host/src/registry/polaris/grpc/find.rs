//! Finds out what speaks at an address that does not say it: a server of HTTP/2 greets whoever greets it so, and one of HTTP/1
//! answers in words.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connect::{connect, too_late};
use crate::registry::RegistryError;
use crate::registry::polaris::address::Protocol;
use crate::registry::polaris::{Address, PolarisConfig};

/// The greeting of a client of HTTP/2, with settings that say nothing.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The length of a frame's head. Its fourth byte is the type, and a server begins with settings.
const HEAD: usize = 9;
const SETTINGS: u8 = 4;

/// What speaks there; `None` if it says nothing that tells.
pub(in crate::registry::polaris) async fn find(
    address: &Address,
    config: &PolarisConfig,
) -> Result<Option<Protocol>, RegistryError> {
    let stream = timeout(config.connect_timeout, connect(address)).await;
    let stream = stream.unwrap_or_else(|_| Err(too_late(address, config)))?;
    Ok(timeout(config.connect_timeout, greet(stream)).await.ok().flatten())
}

async fn greet(mut stream: TcpStream) -> Option<Protocol> {
    stream.write_all(GREETING).await.ok()?;
    let mut head = [0; HEAD];
    let mut read = 0;
    while read < HEAD {
        match stream.read(&mut head[read..]).await {
            Ok(0) | Err(_) => break,
            Ok(more) => read += more,
        }
    }
    meaning(&head[..read])
}

fn meaning(head: &[u8]) -> Option<Protocol> {
    match head {
        [b'H', b'T', b'T', b'P', b'/', ..] => Some(Protocol::Http),
        // Of no more than 16 KiB, as every frame is before something else was agreed on.
        [0, length, _, SETTINGS, ..] if head.len() == HEAD && *length <= 0x40 => Some(Protocol::Grpc),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        for (head, expected) in [
            (b"HTTP/1.1 ".as_slice(), Some(Protocol::Http)),
            (b"HTTP/", Some(Protocol::Http)),
            (b"\0\0\x06\x04\0\0\0\0\0", Some(Protocol::Grpc)),
            (b"\0\0\x06\x04\0", None),
            (b"\x15\x03\x01\x04\0\0\0\0\0", None),
            (b"SSH-2.0-O", None),
            (b"", None),
        ] {
            assert_eq!(meaning(head), expected, "{head:?}");
        }
    }
}
