//! The content revision: a hash of what an update says, so that equal content is known without being sent.
//!
//! SipHash-1-3 with 128 bits over length-prefixed fields. Not a secret and no defence against someone who looks for
//! collisions: who could use one may register whatever he likes anyway.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::content::Content;
use crate::model::{MeshLocation, Port, Resolution, Update};

/// Distinguishes revisions of another way of hashing, should there be one.
const FORMAT: u32 = 2;
/// Many short writes are slow in the hasher, so fields are gathered first.
const GATHERED: usize = 4096;

/// The content revision of an update. Instances do not count, since their positions depend on the order of the answer;
/// nor does the content revision that it has.
pub fn of(update: &Update) -> String {
    let mut fields = Fields::new(update.resolution, update.location);
    fields.ports(update.ports.iter());
    for endpoint in &update.endpoints {
        fields.text(&endpoint.address);
        fields.number(endpoint.weight);
        fields.text(&endpoint.locality);
        fields.identity(endpoint.service_account.as_deref(), endpoint.network.as_deref());
        fields.pairs(&endpoint.labels, |fields, (key, value)| {
            fields.text(key);
            fields.text(value);
        });
        fields.pairs(&endpoint.ports, |fields, (name, port)| {
            fields.text(name);
            fields.number(*port);
        });
    }
    if !update.annotations.is_empty() {
        fields.pairs(&update.annotations, |fields, (key, value)| {
            fields.text(key);
            fields.text(value);
        });
    }
    fields.finish()
}

/// The same, of content that is not built.
pub(crate) fn of_content(content: &Content<'_>) -> String {
    let mut fields = Fields::new(content.resolution, content.location);
    let ports: Vec<Port> = content.derived_ports().collect();
    fields.ports(ports.iter());
    for draft in &content.endpoints.list {
        fields.text(draft.first.address.text());
        fields.number(draft.first.instance.weight);
        fields.joined(draft.locality.parts());
        fields.identity(draft.identity.service_account, draft.identity.network);
        fields.pairs(content.endpoints.labels(draft), |fields, (key, value)| {
            fields.text(key);
            fields.text(value);
        });
        fields.number(content.endpoint_ports(draft).count() as u32);
        for (name, port) in content.endpoint_ports(draft) {
            fields.text(name);
            fields.number(port);
        }
    }
    fields.finish()
}

struct Fields {
    hasher: SipHasher13,
    gathered: Vec<u8>,
}

impl Fields {
    fn new(resolution: Option<Resolution>, location: Option<MeshLocation>) -> Self {
        let mut fields = Self { hasher: SipHasher13::new(), gathered: Vec::with_capacity(2 * GATHERED) };
        fields.number(FORMAT);
        fields.number(match resolution {
            None => 0,
            Some(Resolution::None) => 1,
            Some(Resolution::Static) => 2,
            Some(Resolution::Dns) => 3,
            Some(Resolution::DnsRoundRobin) => 4,
            Some(Resolution::DynamicDns) => 5,
        });
        fields.number(match location {
            None => 0,
            Some(MeshLocation::MeshExternal) => 1,
            Some(MeshLocation::MeshInternal) => 2,
        });
        fields
    }

    fn ports<'a>(&mut self, ports: impl ExactSizeIterator<Item = &'a Port>) {
        self.number(ports.len() as u32);
        for port in ports {
            self.text(&port.name);
            self.number(port.number);
            self.text(&port.protocol);
            self.number(port.target_port.unwrap_or_default());
        }
    }

    fn pairs<T>(&mut self, pairs: &[T], each: impl Fn(&mut Self, &T)) {
        self.number(pairs.len() as u32);
        pairs.iter().for_each(|pair| each(self, pair));
    }

    /// Both are mostly absent.
    fn identity(&mut self, service_account: Option<&str>, network: Option<&str>) {
        self.number(u32::from(service_account.is_some()) | u32::from(network.is_some()) << 1);
        for name in [service_account, network].into_iter().flatten() {
            self.text(name);
        }
    }

    fn number(&mut self, number: u32) {
        self.gathered.extend_from_slice(&number.to_le_bytes());
    }

    #[inline(never)]
    fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.bytes(text.as_bytes());
    }

    /// As the text of the parts with a slash between them.
    fn joined(&mut self, parts: &[&str]) {
        let length = parts.iter().map(|part| part.len()).sum::<usize>() + parts.len().saturating_sub(1);
        self.number(length as u32);
        for (position, part) in parts.iter().enumerate() {
            if position > 0 {
                self.bytes(b"/");
            }
            self.bytes(part.as_bytes());
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHERED {
            self.hasher.write(&self.gathered);
            self.gathered.clear();
        }
    }

    fn finish(mut self) -> String {
        self.hasher.write(&self.gathered);
        let hash = self.hasher.finish128();
        format!("{:016x}{:016x}", hash.h1, hash.h2)
    }
}
