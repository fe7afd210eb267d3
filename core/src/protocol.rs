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

    const fn tcp(application: Application<'a>) -> Self {
        Self { istio: IstioProtocol::Tcp, application }
    }

    /// From a word that is the name of a protocol, in any case.
    fn word(word: &'a str) -> Option<Self> {
        IstioProtocol::read(word).map(Self::plain).or_else(|| Some(Self::tcp(Application::read(word)?)))
    }

    /// From a port's name, as Aeraki reads it (`tcp-dubbo-20880`), else as Istio does: one that begins with `grpc-web` is
    /// GRPC-WEB, and of others the part before the first `-` is a protocol, or says nothing.
    pub fn of_name(name: &'a str) -> Option<Self> {
        let application = Application::of_port_name(name);
        if application != Application::Plain {
            return Some(Self::tcp(application));
        }
        let grpc_web = IstioProtocol::GrpcWeb;
        if name.get(..grpc_web.as_str().len()).is_some_and(|start| start.eq_ignore_ascii_case(grpc_web.as_str())) {
            return Some(Self::plain(grpc_web));
        }
        Self::word(name.split('-').next().unwrap_or(name))
    }

    /// From a port of the entry; one without a protocol counts as TCP.
    pub fn of_port(name: &'a str, protocol: &str) -> Self {
        match IstioProtocol::read(protocol) {
            None | Some(IstioProtocol::Tcp) => Self::tcp(Application::of_port_name(name)),
            Some(istio) => Self::plain(istio),
        }
    }

    /// The name of a port derived for it. Those that Aeraki reads end in the port's number.
    pub fn port_name(&self, number: u32) -> String {
        match &self.application {
            Application::Plain => self.istio.port_name().to_owned(),
            _ => format!("{}-{number}", self.stem()),
        }
    }

    /// The name of a port derived for it, without a number.
    pub fn stem(&self) -> Cow<'static, str> {
        match &self.application {
            Application::Plain => Cow::Borrowed(self.istio.port_name()),
            Application::Dubbo => Cow::Borrowed("tcp-dubbo"),
            Application::Thrift => Cow::Borrowed("tcp-thrift"),
            Application::Meta(name) => Cow::Owned(format!("tcp-metaprotocol-{name}")),
        }
    }

    /// Whether Istio treats both alike: TLS is passed through whatever it carries, and gRPC is HTTP2.
    pub fn is_alike(&self, other: &Self) -> bool {
        use IstioProtocol::{Grpc, Http2, Https, Tls};
        let pair = (self.istio, other.istio);
        self == other || matches!(pair, (Https, Tls) | (Tls, Https) | (Grpc, Http2) | (Http2, Grpc))
    }

    /// Whether it is bytes to Istio, which a TCP port forwards as they come.
    pub const fn is_opaque(&self) -> bool {
        use IstioProtocol::{Https, Mongo, Mysql, Redis, Tcp, Tls};
        matches!(self.istio, Tcp | Mongo | Mysql | Redis | Tls | Https)
    }
}

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

/// The longest port name that an endpoint can repeat (the CRD's rule on the keys of `endpoints[].ports`).
pub(crate) const LONGEST_PORT_NAME: usize = 62;

/// The value of `aeraki.net/protocol` that lets every port take instances of any protocol.
pub const ANY: &str = "any";

/// Whether an instance is of the protocol that `aeraki.net/protocol` asks for: registered so, in any case, or read as the
/// same (`tcp` takes those of which nothing is known, `grpc` takes `grpc-api/TCP`, `http-web` takes `http-web/TCP`).
/// [`ANY`] and nothing ask for none.
pub fn matches(asked: &str, registered: &str) -> bool {
    if asked.is_empty() || asked.eq_ignore_ascii_case(ANY) || asked.eq_ignore_ascii_case(registered) {
        return true;
    }
    let (asked, registered) = (Registered::read(asked), Registered::read(registered));
    match asked.port_name() {
        Some(name) => {
            registered.text().eq_ignore_ascii_case(name)
                && (asked.is_unknown() || asked.protocol == registered.protocol)
        }
        None => asked.protocol == registered.protocol,
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

    #[test]
    fn alike_and_opaque() {
        let of = |word| Protocol::word(word).unwrap();
        for (a, b, alike) in [
            ("https", "tls", true),
            ("grpc", "http2", true),
            ("grpc", "grpc", true),
            ("http", "http2", false),
            ("http", "grpc", false),
            ("grpc", "grpc-web", false),
            ("https", "http", false),
            ("dubbo", "thrift", false),
            ("dubbo", "tcp", false),
        ] {
            assert_eq!((of(a).is_alike(&of(b)), of(b).is_alike(&of(a))), (alike, alike), "{a} {b}");
        }
        for opaque in ["tcp", "mongo", "redis", "mysql", "dubbo", "thrift", "tls", "https"] {
            assert!(of(opaque).is_opaque(), "{opaque}");
        }
        for not in ["http", "http2", "http_proxy", "grpc", "grpc-web", "udp"] {
            assert!(!of(not).is_opaque(), "{not}");
        }
    }

    #[test]
    fn filters() {
        for (asked, registered, expected) in [
            ("grpc", "gRPC", true),
            ("grpc", "grpc/TCP", true),
            ("grpc", "grpc-api/TCP", true),
            ("grpc", "grpc-web-x/TCP", false),
            ("grpc", "http", false),
            ("tcp", "", true),
            ("tcp", "ws", true),
            ("tcp", "web/TCP", true),
            ("tcp", "dubbo", false),
            ("DUBBO", "dubbo", true),
            ("dubbo", "tcp-dubbo-20880/TCP", true),
            ("ws", "WS", true),
            ("ws", "ws/TCP", true),
            ("ws", "tcp", false),
            ("ws", "", false),
            ("http-web", "http-web/TCP", true),
            ("http-web", "http-admin/TCP", false),
            ("http-web", "http", false),
            ("http-web/TCP", "http-web", true),
            ("udp", "dns/UDP", true),
            ("dns", "dns/UDP", true),
            ("any", "dubbo", true),
            ("Any", "", true),
            ("", "dubbo", true),
        ] {
            assert_eq!(matches(asked, registered), expected, "{asked} {registered}");
        }
    }
}
