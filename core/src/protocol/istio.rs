//! The protocols that Istio knows.

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

    pub(super) const fn port_name(self) -> &'static str {
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
