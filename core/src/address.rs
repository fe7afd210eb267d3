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
            // What other names resolve to cannot be known here.
            Self::Name(name) => forbidden_name(name.strip_suffix('.').unwrap_or(name)),
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

/// Names of this host: `localhost` and all below it are reserved by RFC 6761, the others stand in `/etc/hosts` of most systems.
const LOOPBACK_NAMES: [&str; 6] =
    ["localhost", "localhost.localdomain", "localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback"];

/// Names that clouds give their metadata servers: Google Cloud, AWS, Tencent Cloud, Equinix Metal, and Rancher's own.
const METADATA_NAMES: [&str; 8] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
    "rancher-metadata",
];

/// Public domains in which a name resolves to the address that stands in it.
const ADDRESS_DOMAINS: [&str; 5] = [".nip.io", ".sslip.io", ".xip.io", ".localtest.me", ".lvh.me"];

/// Why no endpoint may have this name, if so; in lower case, without the root's dot.
fn forbidden_name(name: &str) -> Option<Forbidden> {
    if LOOPBACK_NAMES.contains(&name) || name.ends_with(".localhost") || name == "localtest.me" || name == "lvh.me" {
        return Some(Forbidden::Loopback);
    }
    if METADATA_NAMES.contains(&name) || name.ends_with(".metadata.google.internal") {
        return Some(Forbidden::MetadataServer);
    }
    let (domain, inside) = ADDRESS_DOMAINS.iter().find_map(|domain| Some((*domain, name.strip_suffix(domain)?)))?;
    if matches!(domain, ".localtest.me" | ".lvh.me") {
        return Some(Forbidden::Loopback);
    }
    inside_name(inside)
}

/// Why the address that stands in such a name is forbidden: `10.0.0.1`, `10-0-0-1`, `a9fea9fe` or `--1`, with whatever stands
/// before it.
fn inside_name(name: &str) -> Option<Forbidden> {
    let parts: Vec<&str> = name.split(['.', '-']).collect();
    let four = parts.windows(4).filter_map(|four| four.join(".").parse::<Ipv4Addr>().ok()).map(IpAddr::V4);
    let hexadecimal = |part: &&str| (part.len() == 8).then(|| u32::from_str_radix(part, 16).ok()).flatten();
    let in_hexadecimal = parts.iter().filter_map(hexadecimal).map(|bits| IpAddr::V4(Ipv4Addr::from(bits)));
    let last = name.rsplit('.').next().unwrap_or_default();
    let v6 = last.replace('-', ":").parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    four.chain(in_hexadecimal).chain(v6).find_map(forbidden)
}

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
        embedded_v4(address).into_iter().flatten().find_map(|v4| forbidden(IpAddr::V4(v4)))
    }
}

/// The IPv4 addresses inside an IPv6 address: IPv4-mapped, IPv4-compatible, IPv4-translated (RFC 2765), NAT64 under both of its
/// prefixes (RFC 6052, RFC 8215), 6to4, the server and the client of Teredo, and ISATAP under any prefix.
fn embedded_v4(address: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let octets = address.octets();
    let at = |places: [usize; 4]| Some(Ipv4Addr::from(places.map(|place| octets[place])));
    let last = at([12, 13, 14, 15]);
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            [last, None, None, None]
        }
        // Whoever runs the translator chooses the length of the prefix: 48, 56, 64 or 96 bits. Zeros are a longer one's padding.
        [0x64, 0xff9b, 1, ..] => [at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), last]
            .map(|found| found.filter(|v4| v4.octets()[0] != 0)),
        [0x2002, ..] => [at([2, 3, 4, 5]), isatap(address), None, None],
        [0x2001, 0, ..] => [at([4, 5, 6, 7]), last.map(|client| Ipv4Addr::from(!u32::from(client))), None, None],
        _ => [isatap(address), None, None, None],
    }
}

/// The IPv4 address in an interface identifier of ISATAP (RFC 5214).
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., 0 | 0x200, 0x5efe, high, low] = address.segments() else { return None };
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
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
            // IPv4 addresses inside IPv6 ones, and some that only look alike.
            ("2002:a9fe:a9fe::1", Some(LinkLocal)),
            ("2002:7f00:1::", Some(Loopback)),
            ("2002:6464:64c8::", Some(MetadataServer)),
            ("2002:a00:1::1", None),
            ("64:ff9b::7f00:1", Some(Loopback)),
            ("64:ff9b:1::a9fe:a9fe", Some(LinkLocal)),
            ("64:ff9b:1::a00:1", None),
            ("64:ff9b:1:a9fe:a9:fe00::", Some(LinkLocal)),
            ("::ffff:0:169.254.169.254", Some(LinkLocal)),
            ("::ffff:0:10.0.0.1", None),
            ("2001:0:a9fe:a9fe::1", Some(LinkLocal)),
            ("2001:0:4136:e378:8000:63bf:5601:5601", Some(LinkLocal)),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", None),
            ("2001:db8::5efe:169.254.169.254", Some(LinkLocal)),
            ("2001:db8::200:5efe:127.0.0.1", Some(Loopback)),
            ("2001:db8::5efe:10.0.0.1", None),
            // Names that lead there.
            ("metadata.google.internal", Some(MetadataServer)),
            ("Metadata.Google.Internal.", Some(MetadataServer)),
            ("metadata.goog", Some(MetadataServer)),
            ("instance-data.ec2.internal", Some(MetadataServer)),
            ("metadata.tencentyun.com", Some(MetadataServer)),
            ("metadata", Some(MetadataServer)),
            ("metadata.example.com", None),
            ("ip6-localhost", Some(Loopback)),
            ("localhost.localdomain", Some(Loopback)),
            ("169.254.169.254.nip.io", Some(LinkLocal)),
            ("app-127-0-0-1.sslip.io", Some(Loopback)),
            ("a9fea9fe.nip.io", Some(LinkLocal)),
            ("a.0--1.sslip.io", Some(Loopback)),
            ("www.lvh.me", Some(Loopback)),
            ("10.0.0.1.nip.io", None),
        ] {
            assert_eq!(Address::read(host).unwrap().forbidden(), expected, "{host}");
        }
    }
}
