//! Protocols: from what an instance registered, or a port declares, to what Istio accepts.
//!
//! Dubbo, Thrift and MetaProtocol are TCP to Istio; Aeraki reads them from the second part of the port's name
//! (`tcp-dubbo-20880`), so they count as protocols of their own here.

use std::borrow::Cow;

use crate::address::is_dns_label;

/// A protocol that istiod's webhook accepts for a port of a ServiceEntry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum IstioProtocol {
    Grpc,
    GrpcWeb,
    Http,
    Http2,
    HttpProxy,
    Https,
    Mongo,
    Mysql,
    Redis,
    Tcp,
    Tls,
    Udp,
}

impl IstioProtocol {
    const ALL: [Self; 12] = [
        Self::Http,
        Self::Grpc,
        Self::Tcp,
        Self::Http2,
        Self::GrpcWeb,
        Self::HttpProxy,
        Self::Https,
        Self::Mongo,
        Self::Mysql,
        Self::Redis,
        Self::Tls,
        Self::Udp,
    ];

    /// In upper case, as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "GRPC",
            Self::GrpcWeb => "GRPC-WEB",
            Self::Http => "HTTP",
            Self::Http2 => "HTTP2",
            Self::HttpProxy => "HTTP_PROXY",
            Self::Https => "HTTPS",
            Self::Mongo => "MONGO",
            Self::Mysql => "MYSQL",
            Self::Redis => "REDIS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
        }
    }

    /// Whether a proxy can tell several hosts apart: by the authority of HTTP, or the server name of TLS.
    pub const fn tells_hosts_apart(self) -> bool {
        match self {
            Self::Grpc | Self::GrpcWeb | Self::Http | Self::Http2 | Self::HttpProxy | Self::Https | Self::Tls => true,
            Self::Mongo | Self::Mysql | Self::Redis | Self::Tcp | Self::Udp => false,
        }
    }

    /// From its name in any case.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(name))
    }

    const fn port_name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::HttpProxy => "http-proxy",
            Self::Https => "https",
            Self::Mongo => "mongo",
            Self::Mysql => "mysql",
            Self::Redis => "redis",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
        }
    }
}

/// What Aeraki speaks on top of TCP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Application<'a> {
    /// Nothing that Aeraki knows.
    Plain,
    /// Apache Dubbo.
    Dubbo,
    /// Apache Thrift.
    Thrift,
    /// A protocol of Aeraki's MetaProtocol framework, by name, in lower case.
    Meta(Cow<'a, str>),
}

/// The longest name of a MetaProtocol: `tcp-metaprotocol-<name>-65535` fits a port name that an endpoint can repeat.
const LONGEST_META: usize = 39;

impl<'a> Application<'a> {
    /// From `dubbo`, `thrift` or `metaprotocol-<name>` in any case.
    fn read(name: &'a str) -> Option<Self> {
        if name.eq_ignore_ascii_case("dubbo") {
            return Some(Self::Dubbo);
        }
        if name.eq_ignore_ascii_case("thrift") {
            return Some(Self::Thrift);
        }
        let (first, meta) = name.split_once('-')?;
        if !first.eq_ignore_ascii_case("metaprotocol") || meta.len() > LONGEST_META || !is_dns_label(meta) {
            return None;
        }
        Some(Self::Meta(if meta.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(meta.to_ascii_lowercase())
        } else {
            Cow::Borrowed(meta)
        }))
    }

    /// From a port's name, such as `tcp-dubbo-20880`, as Aeraki reads it.
    fn of_port_name(name: &'a str) -> Self {
        let Some(rest) = name.strip_prefix("tcp-") else {
            return Self::Plain;
        };
        match rest.split('-').next() {
            Some("dubbo") => return Self::Dubbo,
            Some("thrift") => return Self::Thrift,
            Some("metaprotocol") => {}
            _ => return Self::Plain,
        }
        let without_number = match rest.rsplit_once('-') {
            Some((front, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => front,
            _ => rest,
        };
        Self::read(without_number).unwrap_or(Self::Plain)
    }
}

/// What one service port carries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol<'a> {
    /// What the port declares to Istio.
    pub istio: IstioProtocol,
    /// What Aeraki makes of it; [`Application::Plain`] for all but TCP.
    pub application: Application<'a>,
}

impl<'a> Protocol<'a> {
    /// TCP, and nothing known about what it carries.
    pub const TCP: Self = Self::plain(IstioProtocol::Tcp);

    const fn plain(istio: IstioProtocol) -> Self {
        Self { istio, application: Application::Plain }
    }

    /// From what an instance registered, where something is known of it. `<port name>/TCP`, as the Kubernetes controller
    /// of Polaris registers, is read as Kubernetes reads port names: by the part before the first `-`.
    pub fn known(registered: &'a str) -> Option<Self> {
        if let Some(istio) = IstioProtocol::read(registered) {
            return Some(Self::plain(istio));
        }
        if let Some(application) = Application::read(registered) {
            return Some(Self { istio: IstioProtocol::Tcp, application });
        }
        let (name, transport) = registered.rsplit_once('/')?;
        if transport.eq_ignore_ascii_case("udp") {
            return Some(Self::plain(IstioProtocol::Udp));
        }
        if !transport.eq_ignore_ascii_case("tcp") {
            return None;
        }
        let first = name.split('-').next().unwrap_or(name);
        let istio = IstioProtocol::read(name).or_else(|| IstioProtocol::read(first));
        Some(Self::plain(istio.unwrap_or(IstioProtocol::Tcp)))
    }

    /// From what an instance registered: TCP where nothing is known.
    pub fn of_instance(registered: &'a str) -> Self {
        Self::known(registered).unwrap_or(Self::TCP)
    }

    /// From a port of the entry; one without a protocol counts as TCP.
    pub fn of_port(name: &'a str, protocol: &str) -> Self {
        match IstioProtocol::read(protocol) {
            None | Some(IstioProtocol::Tcp) => {
                Self { istio: IstioProtocol::Tcp, application: Application::of_port_name(name) }
            }
            Some(istio) => Self::plain(istio),
        }
    }

    /// The name of a port derived for it. Those that Aeraki reads end in the port's number.
    pub fn port_name(&self, number: u32) -> String {
        match &self.application {
            Application::Plain => self.istio.port_name().to_owned(),
            Application::Dubbo => format!("tcp-dubbo-{number}"),
            Application::Thrift => format!("tcp-thrift-{number}"),
            Application::Meta(name) => format!("tcp-metaprotocol-{name}-{number}"),
        }
    }
}

/// Whether an instance is of the protocol that `aeraki.net/protocol` asks for: registered so, in any case, or read as the
/// same protocol (`tcp` takes those that registered none, `grpc` takes `grpc/TCP`).
pub fn matches(asked: &str, registered: &str) -> bool {
    asked.eq_ignore_ascii_case(registered)
        || Protocol::known(asked).is_some_and(|protocol| protocol == Protocol::of_instance(registered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_what_instances_register() {
        let long = format!("metaprotocol-{}", "x".repeat(40));
        for (registered, protocol, port) in [
            ("", "TCP", "tcp"),
            ("http", "HTTP", "http"),
            ("gRPC", "GRPC", "grpc"),
            ("grpc-web", "GRPC-WEB", "grpc-web"),
            ("HTTP2", "HTTP2", "http2"),
            ("http_proxy", "HTTP_PROXY", "http-proxy"),
            ("redis", "REDIS", "redis"),
            ("udp", "UDP", "udp"),
            ("ws", "TCP", "tcp"),
            ("service-grpc", "TCP", "tcp"),
            ("http/TCP", "HTTP", "http"),
            ("grpc-api/TCP", "GRPC", "grpc"),
            ("web/TCP", "TCP", "tcp"),
            ("dns/UDP", "UDP", "udp"),
            ("Dubbo", "TCP", "tcp-dubbo-7"),
            ("thrift", "TCP", "tcp-thrift-7"),
            ("MetaProtocol-Trpc", "TCP", "tcp-metaprotocol-trpc-7"),
            ("metaprotocol-my-proto", "TCP", "tcp-metaprotocol-my-proto-7"),
            ("metaprotocol-", "TCP", "tcp"),
            ("metaprotocol-a_b", "TCP", "tcp"),
            (&long, "TCP", "tcp"),
        ] {
            let read = Protocol::of_instance(registered);
            assert_eq!((read.istio.as_str(), read.port_name(7).as_str()), (protocol, port), "{registered}");
            let name = read.port_name(7);
            assert_eq!(Protocol::of_port(&name, protocol), read, "{registered} read back from its port");
        }
    }

    #[test]
    fn filters() {
        for (asked, registered, expected) in [
            ("grpc", "gRPC", true),
            ("grpc", "grpc/TCP", true),
            ("grpc", "http", false),
            ("tcp", "", true),
            ("tcp", "ws", true),
            ("tcp", "dubbo", false),
            ("DUBBO", "dubbo", true),
            ("ws", "WS", true),
            ("ws", "tcp", false),
            ("ws", "", false),
        ] {
            assert_eq!(matches(asked, registered), expected, "{asked} {registered}");
        }
    }
}
