//! A module's answer, well-formed and of any content: the host's rules are all that stands between it and the cluster.

use arbitrary::{Arbitrary, Result, Unstructured};
use polaris2istio_core::model::{Endpoint, MeshLocation, Port, Resolution, Update};

use crate::chain;

pub(crate) fn run(data: &[u8]) {
    if let Ok(update) = update(&mut Unstructured::new(data)) {
        let _ = chain::apply(update, &chain::entry());
    }
}

fn update(bytes: &mut Unstructured) -> Result<Update> {
    let resolutions =
        [Resolution::None, Resolution::Static, Resolution::Dns, Resolution::DnsRoundRobin, Resolution::DynamicDns];
    let locations = [MeshLocation::MeshExternal, MeshLocation::MeshInternal];
    Ok(Update {
        resolution: maybe(bytes, |bytes| Ok(*bytes.choose(&resolutions)?))?,
        location: maybe(bytes, |bytes| Ok(*bytes.choose(&locations)?))?,
        ports: many(bytes, port)?,
        endpoints: many(bytes, endpoint)?,
        annotations: many(bytes, |bytes| {
            Ok((text(bytes, &["polaris2istio.aeraki.net/x"])?, String::arbitrary(bytes)?))
        })?,
        content_revision: Arbitrary::arbitrary(bytes)?,
    })
}

fn port(bytes: &mut Unstructured) -> Result<Port> {
    Ok(Port {
        name: text(bytes, &["http", "tcp", "grpc"])?,
        number: number(bytes)?,
        protocol: text(bytes, &["HTTP", "TCP", "grpc-web"])?,
        target_port: maybe(bytes, number)?,
    })
}

fn endpoint(bytes: &mut Unstructured) -> Result<Endpoint> {
    let addresses = ["10.0.0.1", "10.0.0.2", "::ffff:127.0.0.1", "169.254.169.254", "2001:db8::1", "a.example"];
    Ok(Endpoint {
        address: text(bytes, &addresses)?,
        ports: many(bytes, |bytes| Ok((text(bytes, &["http", "tcp", "grpc"])?, number(bytes)?)))?,
        labels: many(bytes, |bytes| Ok((text(bytes, &["env", "istio.io/x"])?, text(bytes, &["prod"])?)))?,
        weight: Arbitrary::arbitrary(bytes)?,
        locality: text(bytes, &["", "r/z/s"])?,
        service_account: maybe(bytes, |bytes| text(bytes, &["orders", "a/b"]))?,
        network: maybe(bytes, |bytes| text(bytes, &["vpc-1", "a b"]))?,
        instances: Arbitrary::arbitrary(bytes)?,
    })
}

/// One of what is likely to pass, or anything.
fn text(bytes: &mut Unstructured, likely: &[&str]) -> Result<String> {
    if bytes.ratio(3, 4)? { Ok((*bytes.choose(likely)?).to_owned()) } else { String::arbitrary(bytes) }
}

fn number(bytes: &mut Unstructured) -> Result<u32> {
    if bytes.ratio(3, 4)? { bytes.int_in_range(1..=65_535) } else { u32::arbitrary(bytes) }
}

fn maybe<T>(bytes: &mut Unstructured, one: impl Fn(&mut Unstructured) -> Result<T>) -> Result<Option<T>> {
    if bool::arbitrary(bytes)? { one(bytes).map(Some) } else { Ok(None) }
}

fn many<T>(bytes: &mut Unstructured, one: impl Fn(&mut Unstructured) -> Result<T>) -> Result<Vec<T>> {
    let count = bytes.int_in_range(0..=8)?;
    (0..count).map(|_| one(bytes)).collect()
}
