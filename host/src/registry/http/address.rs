//! Addresses of registry servers, as people write them: `polaris:8090`, `10.0.0.1:8090,10.0.0.2:8090`, `[2001:db8::1]`.

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

/// Where Polaris serves gRPC unless told otherwise; users of the original pass it.
const GRPC_PORT: u16 = 8091;

/// One server: a host and the port of its HTTP client API. Shown as `host:port`, or `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    shown: String,
    discover: Url,
}

impl Address {
    /// Where requests for services go.
    pub(super) fn discover_url(&self) -> &Url {
        &self.discover
    }

    /// Whether it is spoken to over TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.discover.scheme() == "https"
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
        let (tls, rest) = match scheme(text) {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => (false, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('/') {
            return Err(bad(
                text,
                "it holds a path or another scheme",
                "give the host and port alone, such as polaris:8090",
            ));
        }
        let (host, port) = split(text, rest, if tls { HTTPS_PORT } else { HTTP_PORT })?;
        if port == GRPC_PORT {
            return Err(RegistryError::GrpcPort { address: text.to_owned(), host: host.to_owned() });
        }
        let shown = format!("{}{host}:{port}", if tls { "https://" } else { "" });
        let scheme = if tls { "" } else { "http://" };
        let discover = Url::parse(&format!("{scheme}{shown}/v1/Discover")).map_err(|error| {
            bad(text, &format!("`{host}` is no host: {error}"), "give a host name or an IP address")
        })?;
        Ok(Self { shown, discover })
    }
}

/// A scheme in lower case, if it is one that is spoken here, and what follows it.
fn scheme(text: &str) -> Option<(&'static str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    ["http", "https"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known)).map(|known| (known, rest))
}

/// Splits host and port; `rest` is `text` without a scheme.
fn split<'a>(text: &str, rest: &'a str, default_port: u16) -> Result<(&'a str, u16), RegistryError> {
    let (host, port) = if rest.starts_with('[') {
        let end = rest
            .find(']')
            .ok_or_else(|| bad(text, "the `[` has no `]`", "write IPv6 addresses as [2001:db8::1]:8090"))?;
        let (host, after) = rest.split_at(end + 1);
        if host[1..end].parse::<Ipv6Addr>().is_err() {
            return Err(bad(text, "what stands in brackets is no IPv6 address", "write it as [2001:db8::1]:8090"));
        }
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => {
                return Err(bad(text, "something other than a port follows the `]`", "write [2001:db8::1]:8090"));
            }
        }
    } else if rest.matches(':').count() > 1 {
        return Err(bad(
            text,
            "it holds more than one `:`",
            "write IPv6 addresses in brackets, such as [2001:db8::1]:8090",
        ));
    } else {
        match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        }
    };
    if host.is_empty() {
        return Err(bad(text, "it has no host", "give host:port, such as polaris:8090"));
    }
    let Some(port) = port else {
        return Ok((host, default_port));
    };
    match port.parse::<u16>() {
        Ok(number) if number > 0 => Ok((host, number)),
        _ => Err(bad(
            text,
            &format!("the port `{port}` is no number from 1 to 65535"),
            "give host:port, such as polaris:8090",
        )),
    }
}

fn bad(address: &str, problem: &str, remedy: &str) -> RegistryError {
    RegistryError::Address { address: address.to_owned(), problem: problem.to_owned(), remedy: remedy.to_owned() }
}

/// One or several servers that share a store, in order of preference: `a:8090,b:8090`.
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
                "give host:port, such as polaris:8090, or several separated by commas",
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
