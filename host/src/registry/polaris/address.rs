//! Addresses of registry servers, as people write them: `polaris:8091`, `grpcs://10.0.0.1,grpcs://10.0.0.2`, `[2001:db8::1]`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use reqwest::Url;

use crate::redact::NOT_SHOWN;
use crate::registry::RegistryError;

/// Where Polaris serves its HTTP client API unless told otherwise.
const HTTP_PORT: u16 = 8090;

/// Where a web server serves TLS unless told otherwise: Polaris has no port of its own for it, a proxy before it has this.
const HTTPS_PORT: u16 = 443;

/// Where Polaris serves gRPC unless told otherwise.
const GRPC_PORT: u16 = 8091;

/// Where Polaris speaks the gRPC of Nacos 2 unless told otherwise.
const NACOS_PORT: u16 = 9848;

/// The ways to speak to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Grpc,
}

/// What stands before the `://` of an address, with what it means.
struct Scheme {
    name: &'static str,
    protocol: Protocol,
    tls: bool,
    port: u16,
}

const SCHEMES: [Scheme; 4] = [
    Scheme { name: "http", protocol: Protocol::Http, tls: false, port: HTTP_PORT },
    Scheme { name: "https", protocol: Protocol::Http, tls: true, port: HTTPS_PORT },
    Scheme { name: "grpc", protocol: Protocol::Grpc, tls: false, port: GRPC_PORT },
    Scheme { name: "grpcs", protocol: Protocol::Grpc, tls: true, port: GRPC_PORT },
];

/// One server: a host and the port of its client API. Shown as it was given, with its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    shown: String,
    /// `None` if what speaks there is to be found out.
    protocol: Option<Protocol>,
    tls: bool,
    /// By name, or an IP address; one of version 6 without brackets.
    host: String,
    port: u16,
    discover: Url,
}

impl Address {
    /// Where requests for services go by HTTP.
    pub(super) fn discover_url(&self) -> &Url {
        &self.discover
    }

    /// What speaks there; `None` if it does not say so.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        self.protocol
    }

    /// Whether it is spoken to over TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.tls
    }

    /// Where the console of this server is, unless told otherwise.
    pub fn console(&self) -> Self {
        match self.protocol {
            Some(Protocol::Http) => self.clone(),
            _ => self.beside(&format!("http://{{host}}:{HTTP_PORT}")),
        }
    }

    /// Where this server speaks as a Nacos server would, unless told otherwise.
    pub fn nacos(&self) -> Self {
        self.beside(&format!("grpc://{{host}}:{NACOS_PORT}"))
    }

    /// Another address of the same host.
    fn beside(&self, pattern: &str) -> Self {
        let text = pattern.replace("{host}", self.discover.host_str().unwrap_or_default());
        // It was an address before, so it is one with another port.
        text.parse().unwrap_or_else(|_| self.clone())
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl FromStr for Address {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let text = text.trim();
        if text.contains('@') {
            // What stands before the sign may be a password, so the text is not repeated.
            return Err(bad(
                NOT_SHOWN,
                "it holds a user or password",
                "give the host and port alone, and a token apart",
            ));
        }
        let (scheme, rest) = scheme(text).map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('/') {
            return Err(bad(
                text,
                "it holds a path or another scheme",
                "give the host and port, such as polaris:8091, or one of grpc://, grpcs://, http:// and https:// with them",
            ));
        }
        let (host, port) = split(text, rest, scheme.map_or(GRPC_PORT, |scheme| scheme.port))?;
        let shown = format!("{}{host}:{port}", scheme.map(|scheme| format!("{}://", scheme.name)).unwrap_or_default());
        let tls = scheme.is_some_and(|scheme| scheme.tls);
        let web = if tls { "https" } else { "http" };
        let discover = Url::parse(&format!("{web}://{host}:{port}/v1/Discover")).map_err(|error| {
            bad(text, &format!("`{host}` is no host: {error}"), "give a host name or an IP address")
        })?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { shown, protocol: scheme.map(|scheme| scheme.protocol), tls, host, port, discover })
    }
}

/// A scheme, if it is one that is spoken here, and what follows it.
fn scheme(text: &str) -> Option<(&'static Scheme, &str)> {
    let (name, rest) = text.split_once("://")?;
    SCHEMES.iter().find(|known| name.eq_ignore_ascii_case(known.name)).map(|known| (known, rest))
}

/// Splits host and port; `rest` is `text` without a scheme.
fn split<'a>(text: &str, rest: &'a str, default_port: u16) -> Result<(&'a str, u16), RegistryError> {
    let (host, port) = if rest.starts_with('[') {
        let end = rest
            .find(']')
            .ok_or_else(|| bad(text, "the `[` has no `]`", "write IPv6 addresses as [2001:db8::1]:8091"))?;
        let (host, after) = rest.split_at(end + 1);
        if host[1..end].parse::<Ipv6Addr>().is_err() {
            return Err(bad(text, "what stands in brackets is no IPv6 address", "write it as [2001:db8::1]:8091"));
        }
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => {
                return Err(bad(text, "something other than a port follows the `]`", "write [2001:db8::1]:8091"));
            }
        }
    } else if rest.matches(':').count() > 1 {
        return Err(bad(
            text,
            "it holds more than one `:`",
            "write IPv6 addresses in brackets, such as [2001:db8::1]:8091",
        ));
    } else {
        match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        }
    };
    if host.is_empty() {
        return Err(bad(text, "it has no host", "give host:port, such as polaris:8091"));
    }
    let Some(port) = port else {
        return Ok((host, default_port));
    };
    match port.parse::<u16>() {
        Ok(number) if number > 0 => Ok((host, number)),
        _ => Err(bad(
            text,
            &format!("the port `{port}` is no number from 1 to 65535"),
            "give host:port, such as polaris:8091",
        )),
    }
}

fn bad(address: &str, problem: &str, remedy: &str) -> RegistryError {
    RegistryError::Address { address: address.to_owned(), problem: problem.to_owned(), remedy: remedy.to_owned() }
}

/// One or several servers that share a store, in order of preference: `a:8091,b:8091`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses(Vec<Address>);

impl Addresses {
    /// The addresses, at least one, each once.
    pub fn as_slice(&self) -> &[Address] {
        &self.0
    }
}

impl FromStr for Addresses {
    type Err = RegistryError;

    /// Reads a list separated by commas; empty parts and repetitions are skipped.
    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let mut addresses: Vec<Address> = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let address: Address = part.parse()?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(bad(
                text,
                "it names no server",
                "give host:port, such as polaris:8091, or several separated by commas",
            ));
        }
        Ok(Self(addresses))
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, address) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{address}")?;
        }
        Ok(())
    }
}
