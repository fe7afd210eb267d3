//! What an instance registered as its protocol.

use std::borrow::Cow;

use super::{Application, IstioProtocol, LONGEST_PORT_NAME, Protocol};
use crate::address::is_dns_label;

/// The protocol that an instance registered: a protocol's name (`http`, `gRPC`, `dubbo`), or the name of a port, as the
/// Kubernetes controller of Polaris registers it: `<name>/TCP`, `<name>/UDP`, or bare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered<'a> {
    /// TCP where nothing is known of it.
    pub protocol: Protocol<'a>,
    /// Without the transport; may be empty.
    name: &'a str,
    /// Whether the name is a protocol's own.
    is_word: bool,
    /// Whether no transport was given.
    is_bare: bool,
    is_known: bool,
}

impl<'a> Registered<'a> {
    /// Reads what was registered. Any text is something.
    pub fn read(registered: &'a str) -> Self {
        let (name, transport) = match registered.rsplit_once('/') {
            Some((name, transport)) if transport.eq_ignore_ascii_case("tcp") => (name, Some(IstioProtocol::Tcp)),
            Some((name, transport)) if transport.eq_ignore_ascii_case("udp") => (name, Some(IstioProtocol::Udp)),
            _ => (registered, None),
        };
        let word = Protocol::word(name);
        let is_word = word.is_some();
        let known = match transport {
            Some(IstioProtocol::Udp) => Some(Protocol::plain(IstioProtocol::Udp)),
            _ => word.or_else(|| Protocol::of_name(name)),
        };
        let is_known = known.is_some();
        Self { protocol: known.unwrap_or(Protocol::TCP), name, is_word, is_bare: transport.is_none(), is_known }
    }

    /// Whether nothing was registered, or the bare transport of a port without a name: it may speak anything but UDP.
    pub const fn says_nothing(&self) -> bool {
        self.name.is_empty() && !self.is_known
    }

    /// Whether something was registered from which no protocol can be read.
    pub const fn is_unknown(&self) -> bool {
        !self.name.is_empty() && !self.is_known
    }

    /// Whether it was registered as a protocol that nobody knows, and not as a port.
    pub const fn is_unknown_protocol(&self) -> bool {
        self.is_unknown() && self.is_bare
    }

    /// The port's name that was registered, if it was one. A protocol's bare name is none.
    pub fn port_name(&self) -> Option<&'a str> {
        let is_protocol = self.is_bare && self.is_word;
        (!self.name.is_empty() && !is_protocol).then_some(self.name)
    }

    /// All that was registered but for the transport.
    pub const fn text(&self) -> &'a str {
        self.name
    }

    /// The name of a port of its own, if it has one: a registered port name that is not merely a protocol's. Aeraki reads
    /// names that begin with `tcp-` alone.
    pub fn own_port_name(&self) -> Option<Cow<'a, str>> {
        if self.is_word || self.name.len() > LONGEST_PORT_NAME - "tcp-".len() || !is_dns_label(self.name) {
            return None;
        }
        let name = if self.name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(self.name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(self.name)
        };
        let reads_back = |name: &str| Protocol::of_port(name, self.protocol.istio.as_str()) == self.protocol;
        if reads_back(&name) {
            return Some(name);
        }
        let for_aeraki = self.protocol.application != Application::Plain;
        for_aeraki.then(|| format!("tcp-{name}")).filter(|name| reads_back(name)).map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_what_instances_register() {
        let long = format!("metaprotocol-{}", "x".repeat(40));
        for (registered, protocol, port) in [
            ("", "TCP", "tcp"),
            ("/TCP", "TCP", "tcp"),
            ("/UDP", "UDP", "udp"),
            ("http", "HTTP", "http"),
            ("gRPC", "GRPC", "grpc"),
            ("grpc-web", "GRPC-WEB", "grpc-web"),
            ("HTTP2", "HTTP2", "http2"),
            ("http_proxy", "HTTP_PROXY", "http-proxy"),
            ("redis", "REDIS", "redis"),
            ("udp", "UDP", "udp"),
            ("ws", "TCP", "ws"),
            ("not a name", "TCP", "tcp"),
            ("service-grpc", "TCP", "service-grpc"),
            ("http/TCP", "HTTP", "http"),
            ("http/UDP", "UDP", "udp"),
            ("http/tcp", "HTTP", "http"),
            ("HTTP/1.1", "TCP", "tcp"),
            ("http-web", "HTTP", "http-web"),
            ("http-web/TCP", "HTTP", "http-web"),
            ("HTTP-Web/TCP", "HTTP", "http-web"),
            ("TCP-dubbo-1/TCP", "TCP", "tcp"),
            ("http2-web/TCP", "HTTP2", "http2-web"),
            ("https-web/TCP", "HTTPS", "https-web"),
            ("grpc-api/TCP", "GRPC", "grpc-api"),
            ("grpc-web/TCP", "GRPC-WEB", "grpc-web"),
            ("grpc-web-front/TCP", "GRPC-WEB", "grpc-web-front"),
            ("GRPC-WEB-front", "GRPC-WEB", "grpc-web-front"),
            ("mysql-main/TCP", "MYSQL", "mysql-main"),
            ("web/TCP", "TCP", "web"),
            ("dns/UDP", "UDP", "dns"),
            ("Dubbo", "TCP", "tcp-dubbo-7"),
            ("dubbo/TCP", "TCP", "tcp-dubbo-7"),
            ("dubbo-api/TCP", "TCP", "tcp-dubbo-api"),
            ("tcp-dubbo-20880/TCP", "TCP", "tcp-dubbo-20880"),
            ("tcp-dubbo-20880", "TCP", "tcp-dubbo-20880"),
            ("tcp-main/TCP", "TCP", "tcp-main"),
            ("thrift", "TCP", "tcp-thrift-7"),
            ("MetaProtocol-Trpc", "TCP", "tcp-metaprotocol-trpc-7"),
            ("metaprotocol-my-proto", "TCP", "tcp-metaprotocol-my-proto-7"),
            ("tcp-metaprotocol-trpc-8000/TCP", "TCP", "tcp-metaprotocol-trpc-8000"),
            ("metaprotocol-", "TCP", "tcp"),
            ("metaprotocol-a_b", "TCP", "tcp"),
            (&long, "TCP", &long),
            (&"x".repeat(58), "TCP", &"x".repeat(58)),
            (&"x".repeat(59), "TCP", "tcp"),
        ] {
            let read = Registered::read(registered);
            let name = read.own_port_name().map_or_else(|| read.protocol.port_name(7), Cow::into_owned);
            assert_eq!((read.protocol.istio.as_str(), name.as_str()), (protocol, port), "{registered}");
            assert_eq!(Protocol::of_port(&name, protocol), read.protocol, "{registered} read back from its port");
        }
    }

    /// Nothing, something that nobody knows, or a protocol; and the port's name that it is.
    #[test]
    fn tells_what_is_said() {
        for (registered, nothing, unknown, name) in [
            ("", true, false, None),
            ("/TCP", true, false, None),
            ("/UDP", false, false, None),
            ("http", false, false, None),
            ("http/TCP", false, false, Some("http")),
            ("http-web", false, false, Some("http-web")),
            ("web/TCP", false, true, Some("web")),
            ("ws", false, true, Some("ws")),
            ("dubbo", false, false, None),
            ("tcp", false, false, None),
        ] {
            let read = Registered::read(registered);
            let found = (read.says_nothing(), read.is_unknown(), read.port_name());
            assert_eq!(found, (nothing, unknown, name), "{registered}");
        }
        assert!(Registered::read("ws").is_unknown_protocol());
        assert!(!Registered::read("web/TCP").is_unknown_protocol());
    }
}
