//! Requests as they might come at worst: what a registrant, an operator or another controller could write.

use polaris2istio_core::model::{
    Declarer, Entry, EntryPort, Instance, Location, MeshLocation, Request, Resolution, Service,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,20}", "[a-zA-Z0-9._/:-]{0,70}", "[a-z]{1,8}"]
}

fn host() -> impl Strategy<Value = String> {
    let known = select(vec![
        "10.0.0.1",
        "10.0.0.2",
        "10.0.0.10",
        "::ffff:10.0.0.1",
        "2001:db8::1",
        "2001:DB8:0::1",
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "169.254.169.254",
        "fe80::1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "64:ff9b::7f00:1",
        "01.2.3.4",
        "a.example",
        "A.example",
        "a.example.",
        "localhost",
        "not valid",
        "a_b.example",
        "1.2.3",
        "unix:///x",
        "",
    ]);
    prop_oneof![
        6 => known.prop_map(str::to_owned),
        2 => any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        2 => any::<std::net::Ipv6Addr>().prop_map(|address| address.to_string()),
        2 => "[a-z]{1,5}\\.example",
        1 => text(),
    ]
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 1..6_u32, 2 => select(vec![0, 80, 8080, 65_535, 65_536, u32::MAX]), 1 => any::<u32>()]
}

fn protocol() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        "http",
        "HTTP",
        "gRPC",
        "grpc-web",
        "tcp",
        "tls",
        "dubbo",
        "thrift",
        "metaprotocol-a",
        "metaprotocol-a-1",
        "MetaProtocol-B",
        "service-grpc",
        "http/TCP",
        "http/UDP",
        "http-web/TCP",
        "http-admin/TCP",
        "http-web",
        "http-1/TCP",
        "web/TCP",
        "web/UDP",
        "dns/UDP",
        "dubbo-a/TCP",
        "tcp-dubbo-1/TCP",
        "/TCP",
        "https",
        "http2",
        "mysql",
        "ws",
        "http_proxy",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => text()]
}

fn metadata() -> impl Strategy<Value = Vec<(String, String)>> {
    let key = prop_oneof![
        4 => select(vec!["version", "env", "internal-a", "istio.io/rev", "security.istio.io/tlsMode", "a/b", "istio-locality"])
            .prop_map(str::to_owned),
        1 => text(),
    ];
    let value = prop_oneof![select(vec!["v1", "v2", "", "a b"]).prop_map(str::to_owned), text()];
    btree_map(key, value, 0..5).prop_map(|pairs| pairs.into_iter().collect())
}

fn location() -> impl Strategy<Value = Location> {
    let part = || prop_oneof![select(vec!["", "r", "a/b"]).prop_map(str::to_owned), text()];
    (part(), part(), part()).prop_map(|(region, zone, campus)| Location { region, zone, campus })
}

fn instance() -> impl Strategy<Value = Instance> {
    (
        ("[abc]", host(), number(), protocol()),
        (select(vec!["", "v1", "v 1"]), select(vec![0, 1, 100, 100, 100, u32::MAX]), 0..3_u32),
        (prop::bool::weighted(0.7), prop::bool::weighted(0.1), location(), metadata()),
    )
        .prop_map(
            |((id, host, port, protocol), (version, weight, priority), (healthy, isolated, location, metadata))| {
                Instance {
                    id,
                    host,
                    port,
                    protocol,
                    version: version.to_owned(),
                    weight,
                    priority,
                    healthy,
                    isolated,
                    location,
                    metadata,
                }
            },
        )
}

/// Ports as the API server holds them: numbers and names are unique, the declared ones are as the webhook wants them, the
/// controller's may have been edited.
fn ports() -> impl Strategy<Value = Vec<EntryPort>> {
    let long = "x".repeat(63);
    let name = select(
        vec!["http", "grpc", "tcp", "a", "tcp-dubbo-20880", "tcp-dubbo-1", "tcp-metaprotocol-a-2", "http-1", &long]
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    );
    let declared = (
        name,
        1..8_u32,
        select(vec!["", "http", "HTTP", "HTTP", "GRPC", "TCP", "TLS", "UDP"]).prop_map(str::to_owned),
        option::of(1..8_u32),
    );
    let derived = (
        select(vec![
            "http",
            "grpc",
            "tcp",
            "tcp-dubbo-1",
            "a_b",
            "tcp-metaprotocol-a-1-3",
            "http-web",
            "http-1",
            "web",
            "dns",
        ])
        .prop_map(str::to_owned),
        1..8_u32,
        protocol(),
        option::of(number()),
    );
    (vec(declared, 0..3), vec(derived, 0..3)).prop_map(|(declared, derived)| {
        let mut ports: Vec<EntryPort> = Vec::new();
        let declared = declared.into_iter().map(|port| (port, Declarer::Other));
        let derived = derived.into_iter().map(|port| (port, Declarer::Controller));
        for ((name, number, protocol, target_port), declared_by) in declared.chain(derived) {
            if !ports.iter().any(|port| port.name == name || port.number == number) {
                ports.push(EntryPort { name, number, protocol, target_port, declared_by });
            }
        }
        ports
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let annotations = (
        select(vec![Some("prod"), Some("prod"), Some("prod"), Some("prod"), Some(""), None]),
        select(vec![None, None, None, Some("true"), Some("false"), Some("no")]),
        prop_oneof![5 => Just(None), 1 => protocol().prop_map(Some), 1 => Just(Some("any".to_owned()))],
        prop_oneof![6 => Just(None), 1 => Just(Some("orders".to_owned())), 1 => text().prop_map(Some)],
        prop_oneof![6 => Just(None), 1 => text().prop_map(Some)],
    )
        .prop_map(|(namespace, external, protocol, account, network)| {
            let given = [
                ("aeraki.net/external", external.map(str::to_owned)),
                ("aeraki.net/network", network),
                ("aeraki.net/polarisNamespace", namespace.map(str::to_owned)),
                ("aeraki.net/polarisService", Some("orders".to_owned())),
                ("aeraki.net/protocol", protocol),
                ("aeraki.net/serviceAccount", account),
            ];
            given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<Vec<_>>()
        });
    let resolution = select(vec![
        None,
        None,
        Some(Resolution::None),
        Some(Resolution::Static),
        Some(Resolution::Static),
        Some(Resolution::Dns),
        Some(Resolution::DnsRoundRobin),
        Some(Resolution::DynamicDns),
    ]);
    let hosts = select(vec![
        vec!["dev.orders.polaris"],
        vec!["dev.orders.polaris"],
        vec!["*.orders.polaris"],
        vec!["a.polaris", "b.polaris"],
    ]);
    let addresses = select(vec![vec![], vec![], vec!["240.240.0.1"], vec!["10.0.0.0/8"]]);
    let location = select(vec![None, Some(MeshLocation::MeshInternal)]);
    (annotations, resolution, hosts, addresses, location, ports(), prop::bool::weighted(0.03)).prop_map(
        |(annotations, resolution, hosts, addresses, location, ports, has_workload_selector)| Entry {
            namespace: "polaris".to_owned(),
            name: "orders".to_owned(),
            labels: vec![],
            annotations,
            hosts: hosts.into_iter().map(str::to_owned).collect(),
            // The API server took the entry, so it holds no CIDR beside DNS.
            addresses: addresses
                .into_iter()
                .filter(|address| resolution != Some(Resolution::Dns) || !address.contains('/'))
                .map(str::to_owned)
                .collect(),
            location,
            resolution,
            export_to: vec![],
            has_workload_selector,
            ports,
        },
    )
}

fn service_metadata() -> impl Strategy<Value = Vec<(String, String)>> {
    let threshold = prop_oneof![4 => Just(None), 2 => select(vec!["0", "0.5", "1"]).prop_map(|text| Some(text.to_owned())), 1 => text().prop_map(Some)];
    threshold.prop_map(|threshold| {
        threshold.map(|text| ("internal-service-protectthreshold".to_owned(), text)).into_iter().collect()
    })
}

fn parameters() -> impl Strategy<Value = Vec<(String, String)>> {
    let given = select(vec![
        vec![],
        vec![],
        vec![("exclude-metadata", "env=v1,a/b=")],
        vec![("network-metadata", "env"), ("service-account-metadata", "version")],
    ]);
    given.prop_map(|given| given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A request without a content revision.
pub fn request() -> impl Strategy<Value = Request> {
    (entry(), vec(instance(), 0..9), service_metadata(), parameters()).prop_map(
        |(entry, instances, metadata, parameters)| Request {
            service: Service {
                namespace: "prod".to_owned(),
                name: "orders".to_owned(),
                revision: "r1".to_owned(),
                metadata,
                instances,
            },
            entry,
            parameters,
            published: None,
        },
    )
}
