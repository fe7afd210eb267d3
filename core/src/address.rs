//! Addresses: what a registered host is, its one way of writing, and which addresses no endpoint may have.
//!
//! Addresses are written canonically (`2001:DB8::1` as `2001:db8::1`, an IPv4-mapped IPv6 address as the IPv4 address that
//! it is, names in lower case), so that two spellings of one workload meet in one place.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest DNS name, in bytes (RFC 1035 without the root's dot).
const LONGEST_NAME: usize = 253;

/// A host that can be an endpoint's address. Ordered: IPv4 by value, IPv6 by value, names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address<'a> {
    /// An IP address and its canonical text.
    Ip(IpAddr, Cow<'a, str>),
    /// A DNS name in lower case; a dot at its end stays, since it changes how the name is resolved.
    Name(Cow<'a, str>),
}

impl<'a> Address<'a> {
    /// Reads a registered host; nothing where it is neither an IP address nor a name that Istio accepts (labels of
    /// letters, digits and hyphens, the last one not a number).
    pub fn read(host: &'a str) -> Option<Self> {
        match host.parse::<IpAddr>() {
            // The parser takes an IPv4 address in its canonical form only.
            Ok(ip @ IpAddr::V4(_)) => Some(Self::Ip(ip, Cow::Borrowed(host))),
            Ok(ip) => {
                let ip = ip.to_canonical();
                let text = ip.to_string();
                let text = if text == host { Cow::Borrowed(host) } else { Cow::Owned(text) };
                Some(Self::Ip(ip, text))
            }
            Err(_) if !is_name(host) => None,
            Err(_) if host.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Some(Self::Name(Cow::Owned(host.to_ascii_lowercase())))
            }
            Err(_) => Some(Self::Name(Cow::Borrowed(host))),
        }
    }

    /// As it is written into the entry.
    pub fn text(&self) -> &str {
        match self {
            Self::Ip(_, text) | Self::Name(text) => text,
        }
    }

    /// Whether it is a name, which only the resolution DNS takes.
    pub fn is_name(&self) -> bool {
        matches!(self, Self::Name(_))
    }

    /// Why no endpoint may have it, if so.
    pub fn forbidden(&self) -> Option<Forbidden> {
        match self {
            Self::Ip(ip, _) => forbidden(*ip),
            // Reserved for loopback by RFC 6761. What other names resolve to cannot be known here.
            Self::Name(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                let loopback = name == "localhost" || name.ends_with(".localhost");
                loopback.then_some(Forbidden::Loopback)
            }
        }
    }
}

/// A kind of address that would turn the mesh against itself or its cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forbidden {
    /// `127.0.0.0/8`, `::1`, `localhost`: a sidecar's own ports.
    Loopback,
    /// `169.254.0.0/16`, `fe80::/10`: metadata servers of most clouds.
    LinkLocal,
    /// `0.0.0.0/8`, `::`: means this host to most systems.
    Unspecified,
    /// `224.0.0.0/4`, `ff00::/8`, and broadcast.
    Multicast,
    /// The metadata server of a cloud that has it elsewhere.
    MetadataServer,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Unspecified => "an unspecified address",
            Self::Multicast => "a multicast or broadcast address",
            Self::MetadataServer => "a cloud's metadata server",
        })
    }
}

/// Metadata servers outside the link-local ranges: Alibaba Cloud, Azure (its wire server), AWS and Google Cloud over IPv6.
const METADATA_SERVERS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Why no endpoint may have this address, if so. Looks through the forms in which IPv6 carries IPv4 addresses.
pub fn forbidden(address: IpAddr) -> Option<Forbidden> {
    let kind = match address {
        IpAddr::V4(v4) => forbidden_v4(v4),
        IpAddr::V6(v6) => forbidden_v6(v6),
    };
    kind.or_else(|| METADATA_SERVERS.contains(&address).then_some(Forbidden::MetadataServer))
}

fn forbidden_v4(address: Ipv4Addr) -> Option<Forbidden> {
    if address.is_loopback() {
        Some(Forbidden::Loopback)
    } else if address.is_link_local() {
        Some(Forbidden::LinkLocal)
    } else if address.octets()[0] == 0 {
        Some(Forbidden::Unspecified)
    } else if address.is_multicast() || address.is_broadcast() {
        Some(Forbidden::Multicast)
    } else {
        None
    }
}

fn forbidden_v6(address: Ipv6Addr) -> Option<Forbidden> {
    if address.is_unspecified() {
        Some(Forbidden::Unspecified)
    } else if address.is_loopback() {
        Some(Forbidden::Loopback)
    } else if address.is_unicast_link_local() {
        Some(Forbidden::LinkLocal)
    } else if address.is_multicast() {
        Some(Forbidden::Multicast)
    } else {
        embedded_v4(address).and_then(|v4| forbidden(IpAddr::V4(v4)))
    }
}

/// The IPv4 address inside an IPv4-mapped, IPv4-compatible or NAT64 (RFC 6052) address.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            let [.., a, b, c, d] = address.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

/// Whether this is a DNS name as istiod's `ValidateFQDN` accepts it, and not a number in disguise (`1.2.3`, `0x7f000001`),
/// which resolvers take for an address.
pub fn is_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > LONGEST_NAME || !name.split('.').all(is_dns_label) {
        return false;
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    !last.bytes().all(|byte| byte.is_ascii_digit())
        && !hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether this is one label of a DNS name: 1 to 63 letters, digits and hyphens, starting and ending with no hyphen.
pub fn is_dns_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    bytes.len() <= 63
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_canonically() {
        let long = format!("{}.example", "x".repeat(64));
        for (host, expected) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("2001:DB8:0::1", Some("2001:db8::1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("::1", Some("::1")),
            ("orders.example.com", Some("orders.example.com")),
            ("Orders.Example.com.", Some("orders.example.com.")),
            ("orders", Some("orders")),
            ("10.0.0.1.example", Some("10.0.0.1.example")),
            ("01.2.3.4", None),
            ("10.0.0.256", None),
            ("10.0.0.0/24", None),
            ("10.0.0.1:80", None),
            ("[::1]", None),
            ("fe80::1%eth0", None),
            ("1.2.3.", None),
            ("0x7f000001", None),
            ("not valid", None),
            ("a_b.example", None),
            ("-a.example", None),
            ("a..example", None),
            ("unix:///run/x.sock", None),
            (&long, None),
            (".", None),
            ("", None),
        ] {
            let address = Address::read(host);
            assert_eq!(address.as_ref().map(Address::text), expected, "{host}");
        }
    }

    #[test]
    fn forbids_what_turns_the_mesh_against_itself() {
        use Forbidden::*;
        for (host, expected) in [
            ("10.0.0.1", None),
            ("240.240.0.1", None),
            ("2001:db8::1", None),
            ("fd00::1", None),
            ("64:ff9b::a00:1", None),
            ("orders.example.com", None),
            ("127.0.0.1", Some(Loopback)),
            ("127.9.9.9", Some(Loopback)),
            ("::1", Some(Loopback)),
            ("::ffff:127.0.0.1", Some(Loopback)),
            ("::127.0.0.1", Some(Loopback)),
            ("localhost", Some(Loopback)),
            ("a.LOCALHOST.", Some(Loopback)),
            ("169.254.169.254", Some(LinkLocal)),
            ("::ffff:169.254.169.254", Some(LinkLocal)),
            ("64:ff9b::a9fe:a9fe", Some(LinkLocal)),
            ("fe80::1", Some(LinkLocal)),
            ("febf::1", Some(LinkLocal)),
            ("0.0.0.0", Some(Unspecified)),
            ("0.1.2.3", Some(Unspecified)),
            ("::", Some(Unspecified)),
            ("224.0.0.1", Some(Multicast)),
            ("255.255.255.255", Some(Multicast)),
            ("ff02::1", Some(Multicast)),
            ("100.100.100.200", Some(MetadataServer)),
            ("::ffff:100.100.100.200", Some(MetadataServer)),
            ("fd00:ec2::254", Some(MetadataServer)),
        ] {
            assert_eq!(Address::read(host).unwrap().forbidden(), expected, "{host}");
        }
    }
}
