//! How much a ServiceEntry holds. What passes a limit is refused with the figures and never cut, since a cut would take
//! traffic from instances that nobody chose.

use crate::content::Content;
use crate::diagnostic::{Code, Diagnostics, Rejected};
use crate::model::{Entry, Subject};

/// The most endpoints of an entry (the CRD's limit).
pub const ENDPOINTS: usize = 4096;
/// The most ports of an entry (the CRD's limit).
pub const PORTS: usize = 256;
/// The most ports of one endpoint (the CRD's limit).
pub const ENDPOINT_PORTS: usize = 128;
/// The largest sum of the weights of an entry's endpoints. istiod gives each locality the sum of its endpoints' weights, which
/// wraps around; Envoy refuses both a locality and a priority beyond it, and goes on with the endpoints it had.
pub const WEIGHTS: u64 = u32::MAX as u64;
/// The largest entry, in bytes of JSON. etcd refuses about 1,572,000 for the whole object, managed fields included; the
/// difference is for those.
pub const BYTES: usize = 1_500_000;
/// What an entry has besides the parts that are counted: field names, metadata, managed fields.
const OVERHEAD: usize = 4096;

/// Refuses what the API server would refuse for its size.
pub(crate) fn check(entry: &Entry, content: &Content<'_>, diagnostics: &mut Diagnostics) -> Result<(), Rejected> {
    let endpoints = content.endpoints.list.len();
    let field = || Subject::Field("spec.endpoints".to_owned());
    if endpoints > ENDPOINTS {
        return Err(diagnostics.reject(
            Code::TooManyEndpoints,
            field(),
            format!("there would be {endpoints} endpoints, and a ServiceEntry holds {ENDPOINTS}"),
            "Split the service in the registry, or let aeraki.net/protocol choose some of its instances.",
        ));
    }
    let widest = content.endpoints.list.iter().max_by_key(|draft| content.endpoints.members(draft).len());
    if let Some(draft) = widest
        && content.endpoints.members(draft).len() > ENDPOINT_PORTS
    {
        return Err(diagnostics.reject(
            Code::TooManyPorts,
            field(),
            format!(
                "the endpoint {} would have {} ports, and one holds {ENDPOINT_PORTS}",
                crate::quote::quote(draft.first.address.text()),
                content.endpoints.members(draft).len()
            ),
            "Let aeraki.net/protocol choose the instances of one protocol.",
        ));
    }
    check_weights(content, diagnostics)?;
    let bytes = entry_bytes(entry) + endpoint_bytes(content);
    if bytes > BYTES {
        return Err(diagnostics.reject(
            Code::EntryTooLarge,
            field(),
            format!("the entry with its {endpoints} endpoints would have about {bytes} bytes of JSON, and {BYTES} are the most"),
            "Register fewer or shorter metadata, or split the service in the registry.",
        ));
    }
    Ok(())
}

fn check_weights(content: &Content<'_>, diagnostics: &mut Diagnostics) -> Result<(), Rejected> {
    let weights: u64 = content.endpoints.list.iter().map(|draft| u64::from(draft.first.instance.weight)).sum();
    if weights > WEIGHTS {
        return Err(diagnostics.reject(
            Code::WeightsTooLarge,
            Subject::Field("spec.endpoints".to_owned()),
            format!("the weights of the endpoints sum up to {weights}, and Envoy takes {WEIGHTS}"),
            "Register smaller weights; only their ratio counts.",
        ));
    }
    Ok(())
}

fn entry_bytes(entry: &Entry) -> usize {
    let pairs = entry.labels.iter().chain(&entry.annotations);
    let texts = entry.hosts.iter().chain(&entry.addresses).chain(&entry.export_to);
    OVERHEAD
        + pairs.map(|(key, value)| json(key) + json(value) + 2).sum::<usize>()
        + texts.map(|text| json(text) + 1).sum::<usize>()
        // Twice, since a derived port is listed field by field among the managed fields.
        + entry.ports.iter().map(|port| 2 * json(&port.name) + 200).sum::<usize>()
}

fn endpoint_bytes(content: &Content<'_>) -> usize {
    let endpoints = content.endpoints;
    let one = |draft| {
        // {"address":"","labels":{},"locality":"","ports":{},"weight":},
        let labels = endpoints.labels(draft);
        let texts: usize = labels.iter().map(|(key, value)| key.len() + value.len() + 6).sum();
        let ports: usize = content.endpoint_ports(draft).map(|(name, _)| name.len() + 9).sum();
        let locality: usize = draft.locality.parts().iter().map(|part| json(part)).sum();
        // "network":"", and "serviceAccount":"",
        let name = |name: Option<&str>| name.map_or(0, |name| json(name) + 18);
        let identity = name(draft.identity.network) + name(draft.identity.service_account);
        62 + draft.first.address.text().len() + texts + ports + locality + identity + 10
    };
    endpoints.list.iter().map(one).sum()
}

/// The bytes of a text as a JSON string, quotes included, as Go's encoder writes it (`<`, `>`, `&` escaped).
fn json(text: &str) -> usize {
    let byte = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 | b'<' | b'>' | b'&' => 6,
        _ => 1,
    };
    2 + text.bytes().map(byte).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Go's encoder writes it.
    #[test]
    fn json_bytes() {
        for (text, expected) in [
            ("", 2),
            ("abc", 5),
            ("a\"b", 6),
            ("a\\b", 6),
            ("a\nb\rc\td", 13 - 1),
            ("\u{1}", 8),
            ("\u{1f}", 8),
            (" ", 3),
            ("<>&", 20),
            ("ä", 4),
        ] {
            assert_eq!(json(text), expected, "{text:?}");
        }
    }

    #[test]
    fn bytes_of_an_entry() {
        let empty = crate::ports::tests::entry(&[]);
        let base = entry_bytes(&empty);
        assert_eq!(base, OVERHEAD + json("dev.orders.polaris") + 1);
        let pair = vec![("key".to_owned(), "value".to_owned())];
        let of = |change: fn(&mut Entry, Vec<(String, String)>)| {
            let mut entry = crate::ports::tests::entry(&[]);
            change(&mut entry, pair.clone());
            entry_bytes(&entry) - base
        };
        assert_eq!(of(|entry, pair| entry.labels = pair), 14);
        assert_eq!(of(|entry, pair| entry.annotations = pair), 14);
        assert_eq!(of(|entry, _| entry.addresses = vec!["a".to_owned()]), 4);
        assert_eq!(of(|entry, _| entry.export_to = vec!["a".to_owned()]), 4);
        let port = crate::ports::tests::entry(&[("http", 80, "HTTP", crate::model::Declarer::Other)]);
        assert_eq!(entry_bytes(&port) - base, 2 * 6 + 200);
    }
}
