//! The protocol that an entry's operator asks for, by `aeraki.net/protocol`.

use super::Registered;

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
