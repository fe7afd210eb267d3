//! The table of the rules, exhaustively: whatever an instance can register against every pair of ports that an operator can
//! declare, and every mixture of health. What is expected comes from the table's words and not from the rules' code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use polaris2istio_core::convert;
use polaris2istio_core::model::{Declarer, EntryPort, Outcome, Request, Resolution, Verdict};
use support::{instance, pairs, request};

/// Something that an instance can register: the text, the protocol that it is ("" for nothing, "?" for one that nobody
/// knows), and the name of a port, if it is one.
type Registered = (&'static str, &'static str, &'static str);

const REGISTERED: [Registered; 47] = [
    ("", "", ""),
    ("/TCP", "", ""),
    ("/UDP", "udp", ""),
    ("http", "http", ""),
    ("HTTP", "http", ""),
    ("http/TCP", "http", "http"),
    ("http-web/TCP", "http", "http-web"),
    ("HTTP-WEB/tcp", "http", "http-web"),
    ("http-web", "http", "http-web"),
    ("http-other/TCP", "http", "http-other"),
    ("http2", "http2", ""),
    ("http2-x/TCP", "http2", "http2-x"),
    ("http_proxy", "http_proxy", ""),
    ("grpc", "grpc", ""),
    ("gRPC", "grpc", ""),
    ("grpc-api/TCP", "grpc", "grpc-api"),
    ("grpc-web", "grpc-web", ""),
    ("grpc-web-front/TCP", "grpc-web", "grpc-web-front"),
    ("grpc-webx", "grpc-web", "grpc-webx"),
    ("https", "https", ""),
    ("https-x/TCP", "https", "https-x"),
    ("tls", "tls", ""),
    ("tls/TCP", "tls", "tls"),
    ("tcp", "tcp", ""),
    ("tcp-x/TCP", "tcp", "tcp-x"),
    ("dubbo", "dubbo", ""),
    ("Dubbo/TCP", "dubbo", "dubbo"),
    ("dubbo-x/TCP", "dubbo", "dubbo-x"),
    ("tcp-dubbo-20880/TCP", "dubbo", "tcp-dubbo-20880"),
    ("tcp-dubbo", "dubbo", "tcp-dubbo"),
    ("thrift", "thrift", ""),
    ("metaprotocol-a", "metaprotocol-a", ""),
    ("mysql", "mysql", ""),
    ("mysql-main/TCP", "mysql", "mysql-main"),
    ("redis", "redis", ""),
    ("mongo", "mongo", ""),
    ("udp", "udp", ""),
    ("dns/UDP", "udp", "dns"),
    ("http-web/UDP", "udp", "http-web"),
    ("ws", "?", "ws"),
    ("kafka/TCP", "?", "kafka"),
    ("web/TCP", "?", "web"),
    ("web", "?", "web"),
    ("h2/TCP", "?", "h2"),
    ("HTTP/1.1", "?", "HTTP/1.1"),
    ("not a name", "?", "not a name"),
    ("web/SCTP", "?", "web/SCTP"),
];

/// A port that an operator can declare: its name, the protocol that it declares, and the one that it is for.
type Declared = (&'static str, &'static str, &'static str);

const DECLARED: [Declared; 17] = [
    ("http", "HTTP", "http"),
    ("http-web", "Http", "http"),
    ("http-admin", "HTTP", "http"),
    ("h2", "HTTP2", "http2"),
    ("proxy", "HTTP_PROXY", "http_proxy"),
    ("grpc-api", "GRPC", "grpc"),
    ("grpc-web-front", "GRPC-WEB", "grpc-web"),
    ("https", "HTTPS", "https"),
    ("tls", "tls", "tls"),
    ("tcp", "TCP", "tcp"),
    ("kafka", "TCP", "tcp"),
    ("tcp-dubbo", "TCP", "dubbo"),
    ("tcp-metaprotocol-a-1", "TCP", "metaprotocol-a"),
    ("mysql-main", "MYSQL", "mysql"),
    ("dns", "UDP", "udp"),
    ("web", "", ""),
    ("http-open", "", ""),
];

/// Whether a port takes an instance, by the table.
fn fits(port: Declared, registered: Registered, any: bool) -> bool {
    let ((name, _, takes), (_, is, called)) = (port, registered);
    if takes == "udp" || is == "udp" {
        return takes == is;
    }
    let aeraki = |protocol: &str| ["dubbo", "thrift", "metaprotocol-a"].contains(&protocol);
    let opaque = |protocol: &str| ["tcp", "mongo", "redis", "mysql", "tls", "https", "?"].contains(&protocol);
    any || is.is_empty()
        || takes.is_empty()
        || takes == is
        || [("https", "tls"), ("tls", "https"), ("grpc", "http2"), ("http2", "grpc")].contains(&(takes, is))
        || (takes == "tcp" && (opaque(is) || aeraki(is)))
        // A port that Aeraki reads takes what may be its protocol.
        || (aeraki(takes) && ["tcp", "?"].contains(&is))
        // The very name of the port, where nothing is known of the protocol.
        || (is == "?" && called.eq_ignore_ascii_case(name))
}

/// Where the instance itself listens.
const OWN: u32 = 8080;

/// The ports at which the instance is served, and the codes about it.
fn served(outcome: &Outcome) -> (BTreeSet<String>, Vec<&str>) {
    let Verdict::Update(update) = &outcome.verdict else { panic!("{outcome:?}") };
    let ports = update.endpoints.iter().flat_map(|endpoint| &endpoint.ports);
    let ports = ports.inspect(|(_, port)| assert_eq!(*port, OWN)).map(|(name, _)| name.clone()).collect();
    let codes = outcome.diagnostics.iter().filter(|found| found.code.starts_with("instance-"));
    (ports, codes.map(|found| found.code.as_str()).collect())
}

/// Checks one instance behind one or two ports, of which some lead to its own port number.
fn check(registered: Registered, declared: &[Declared], leading: &[bool], any: bool) {
    let mut request = request(1);
    request.entry.resolution = Some(Resolution::Static);
    if any {
        request.entry.annotations.extend(pairs(&[("aeraki.net/protocol", "Any")]));
    }
    request.service.instances[0].protocol = registered.0.to_owned();
    request.entry.ports = (80..)
        .zip(declared.iter().zip(leading))
        .map(|(number, ((name, protocol, _), leads))| EntryPort {
            name: (*name).to_owned(),
            number,
            protocol: (*protocol).to_owned(),
            target_port: leads.then_some(OWN),
            declared_by: Declarer::Other,
        })
        .collect();
    let outcome = convert(&request).unwrap();
    let (found, codes) = served(&outcome);
    let what = format!("{:?} at {declared:?}, leading {leading:?}, any {any}: {found:?} {codes:?}", registered.0);

    let fitting: Vec<_> = declared.iter().zip(leading).filter(|(port, _)| fits(**port, registered, any)).collect();
    let names = |ports: &[&Declared]| ports.iter().map(|port| port.0.to_owned()).collect::<BTreeSet<_>>();
    let by_name: Vec<_> =
        fitting.iter().map(|(port, _)| *port).filter(|port| port.0.eq_ignore_ascii_case(registered.2)).collect();
    let by_number: Vec<_> = fitting.iter().filter(|(_, leads)| **leads).map(|(port, _)| *port).collect();
    let all: Vec<_> = fitting.iter().map(|(port, _)| *port).collect();
    let expected = match (by_name.len(), by_number.len(), all.len()) {
        (1.., _, _) => Some(by_name),
        (_, 1.., _) => Some(by_number),
        (_, _, 1) => Some(all.clone()),
        _ => None,
    };
    match expected {
        Some(ports) => assert_eq!((found, codes.len()), (names(&ports), 0), "{what}"),
        None if all.is_empty() => assert_eq!((found.len(), &*codes), (0, &["instance-port-undeclared"][..]), "{what}"),
        // One of several may be for just this protocol; else nothing tells which.
        None if found.is_empty() => assert_eq!(codes, ["instance-port-ambiguous"], "{what}"),
        None => {
            assert!(found.len() == 1 && found.is_subset(&names(&all)) && codes.is_empty(), "{what}");
            let (port, is) = (declared.iter().find(|port| found.contains(port.0)).unwrap(), registered.1);
            assert!(!is.is_empty() && (is != "?" || port.2 == "tcp"), "{what}");
        }
    }
}

#[test]
fn every_protocol_at_every_pair_of_ports() {
    for registered in REGISTERED {
        for any in [false, true] {
            for (position, one) in DECLARED.iter().enumerate() {
                for leads in [false, true] {
                    check(registered, &[*one], &[leads], any);
                }
                for other in &DECLARED[position + 1..] {
                    for leading in [[false, false], [false, true], [true, false], [true, true]] {
                        check(registered, &[*one, *other], &leading, any);
                    }
                }
            }
        }
    }
}

/// The instances that stay of those of one port, by the table: the healthy ones; all, where none or too few are healthy.
fn staying(healthy: &[bool], threshold: f64) -> Vec<bool> {
    let share = healthy.iter().filter(|healthy| **healthy).count() as f64 / healthy.len() as f64;
    healthy.iter().map(|healthy| *healthy || share == 0.0 || share < threshold).collect()
}

/// Three HTTP and three gRPC instances, each address with both; and what becomes of every mixture of health.
#[test]
fn health_counts_by_port() {
    for (text, threshold) in [("", 0.0), ("0.5", 0.5), ("1", 1.0)] {
        for mixture in 0..1_u32 << 6 {
            let healthy: Vec<bool> = (0..6).map(|bit| mixture >> bit & 1 == 1).collect();
            let mut request: Request = request(0);
            request.service.metadata = pairs(&[("internal-service-protectthreshold", text)]);
            request.service.instances = (0..6)
                .map(|number| {
                    let mut instance = instance(number % 3 + 1);
                    instance.id = number.to_string();
                    (instance.protocol, instance.port) =
                        if number < 3 { ("http".to_owned(), 8080) } else { ("grpc".to_owned(), 9090) };
                    instance.healthy = healthy[number];
                    instance
                })
                .collect();
            let expected = [staying(&healthy[..3], threshold), staying(&healthy[3..], threshold)].concat();
            let Verdict::Update(update) = convert(&request).unwrap().verdict else { panic!("{mixture:06b}") };
            let mut found = vec![false; 6];
            for index in update.endpoints.iter().flat_map(|endpoint| &endpoint.instances) {
                found[*index as usize] = true;
            }
            assert_eq!(found, expected, "{mixture:06b}, threshold {threshold}");
        }
    }
}
