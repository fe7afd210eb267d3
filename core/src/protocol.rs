//! Protocols: from what an instance registered, or a port declares, to what Istio accepts.
//!
//! Dubbo, Thrift and MetaProtocol are TCP to Istio; Aeraki reads them from the second part of the port's name
//! (`tcp-dubbo-20880`), so they count as protocols of their own here.

mod application;
mod asked;
mod istio;
mod registered;

use std::borrow::Cow;

pub use application::Application;
pub use asked::{ANY, matches};
pub use istio::IstioProtocol;
pub use registered::Registered;

/// The longest port name that an endpoint can repeat (the CRD's rule on the keys of `endpoints[].ports`).
pub(crate) const LONGEST_PORT_NAME: usize = 62;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
