//! Whether a service port takes what an instance registered.

use super::ServicePort;
use crate::protocol::{IstioProtocol, Protocol, Registered};

/// How well a port suits an instance. Ordered: the better is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It takes the instance, and many another.
    Loose,
    /// It is for just this protocol.
    Exact,
}

impl ServicePort<'_> {
    /// Whether an instance may join this port. `any` is whether the entry's operator lets every port take any protocol.
    pub(super) fn fit(&self, registered: &Registered<'_>, any: bool) -> Option<Fit> {
        let (port, instance) = (&self.protocol, &registered.protocol);
        if port.istio == IstioProtocol::Udp || instance.istio == IstioProtocol::Udp {
            return (port.istio == instance.istio).then_some(Fit::Exact);
        }
        if registered.says_nothing() {
            return Some(Fit::Loose);
        }
        if self.is_open {
            let named = Protocol::of_name(&self.name);
            return Some(if named.as_ref() == Some(instance) { Fit::Exact } else { Fit::Loose });
        }
        if port == instance || (registered.is_unknown() && self.is_named(registered)) {
            return Some(Fit::Exact);
        }
        (any || port.is_alike(instance) || forwards(port, instance)).then_some(Fit::Loose)
    }

    /// Whether it takes such an instance at all.
    pub(crate) fn takes(&self, registered: &Registered<'_>) -> bool {
        self.fit(registered, false).is_some()
    }

    /// Whether it is for what another port is for, by what both declare or by an instance of the other.
    pub(crate) fn is_like(&self, other: &ServicePort<'_>, registered: &Registered<'_>) -> bool {
        let declare_alike = !self.is_open && !other.is_open && self.protocol == other.protocol;
        declare_alike || self.fit(registered, false) == Some(Fit::Exact)
    }

    /// Whether the instance registered this port's name.
    pub(super) fn is_named(&self, registered: &Registered<'_>) -> bool {
        registered.port_name().is_some_and(|name| name.eq_ignore_ascii_case(&self.name))
    }
}

/// Whether a port forwards bytes of this kind as they come. One that Aeraki reads takes only what may be its protocol.
fn forwards(port: &Protocol<'_>, instance: &Protocol<'_>) -> bool {
    let plain = *port == Protocol::TCP;
    let aeraki = port.istio == IstioProtocol::Tcp && *instance == Protocol::TCP;
    (plain && instance.is_opaque()) || aeraki
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Declarer, EntryPort};

    fn fits(name: &str, protocol: &str, registered: &str, any: bool) -> Option<Fit> {
        let port = EntryPort {
            name: name.to_owned(),
            number: 1,
            protocol: protocol.to_owned(),
            target_port: None,
            declared_by: Declarer::Other,
        };
        ServicePort::of(&port).fit(&Registered::read(registered), any)
    }

    const REGISTERED: [&str; 19] = [
        "",
        "http",
        "https",
        "tls",
        "grpc",
        "http2",
        "grpc-web",
        "http_proxy",
        "tcp",
        "mongo",
        "redis",
        "mysql",
        "dubbo",
        "thrift",
        "metaprotocol-a",
        "ws",
        "web/TCP",
        "udp",
        "dns/UDP",
    ];

    #[track_caller]
    fn check(name: &str, protocol: &str, exact: &[&str], loose: &[&str]) {
        for registered in REGISTERED {
            let expected = if exact.contains(&registered) {
                Some(Fit::Exact)
            } else {
                loose.contains(&registered).then_some(Fit::Loose)
            };
            assert_eq!(fits(name, protocol, registered, false), expected, "{registered} at {name} {protocol}");
            let udp = ["udp", "dns/UDP"].contains(&registered);
            let of_any = fits(name, protocol, registered, true);
            let expected = expected.or_else(|| (!udp && protocol != "UDP").then_some(Fit::Loose));
            assert_eq!(of_any, expected, "{registered} at {name} {protocol}, any");
        }
    }

    #[test]
    fn the_whole_table() {
        check("p", "HTTP", &["http"], &[""]);
        check("p", "HTTPS", &["https"], &["", "tls"]);
        check("p", "TLS", &["tls"], &["", "https"]);
        check("p", "GRPC", &["grpc"], &["", "http2"]);
        check("p", "HTTP2", &["http2"], &["", "grpc"]);
        check("p", "GRPC-WEB", &["grpc-web"], &[""]);
        check("p", "HTTP_PROXY", &["http_proxy"], &[""]);
        check("p", "MYSQL", &["mysql"], &[""]);
        let opaque = ["", "https", "tls", "mongo", "redis", "mysql", "dubbo", "thrift", "metaprotocol-a"];
        check("p", "TCP", &["tcp", "ws", "web/TCP"], &opaque);
        check("tcp-dubbo-1", "TCP", &["dubbo"], &["", "tcp", "ws", "web/TCP"]);
        check("p", "UDP", &["udp", "dns/UDP"], &[]);
    }

    /// A port without a protocol takes any but UDP, and its name says which it is most likely for.
    #[test]
    fn no_protocol() {
        let all: Vec<_> =
            REGISTERED.into_iter().filter(|registered| !["udp", "dns/UDP"].contains(registered)).collect();
        let but = |one: &str| all.iter().copied().filter(|other| *other != one).collect::<Vec<_>>();
        check("p", "", &[], &all);
        check("http-web", "", &["http"], &but("http"));
        check("grpc-api", "", &["grpc"], &but("grpc"));
        check("tcp-dubbo-1", "", &["dubbo"], &but("dubbo"));
    }

    /// Who registered the very name of a port means that port, where nothing is known of his protocol.
    #[test]
    fn by_name() {
        for (protocol, registered, expected) in [
            ("HTTP", "web/TCP", Some(Fit::Exact)),
            ("HTTP", "Web", Some(Fit::Exact)),
            ("TCP", "web/TCP", Some(Fit::Exact)),
            ("UDP", "web/TCP", None),
            ("UDP", "web/UDP", Some(Fit::Exact)),
            ("HTTP", "web/UDP", None),
            ("HTTP", "kafka/TCP", None),
        ] {
            assert_eq!(fits("web", protocol, registered, false), expected, "{registered} at web {protocol}");
        }
        assert_eq!(fits("grpc-api", "HTTP", "grpc-api/TCP", false), None);
    }
}
