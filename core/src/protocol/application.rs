//! What Aeraki makes of a TCP port, by the port's name.

use std::borrow::Cow;

use crate::address::is_dns_label;

/// What Aeraki speaks on top of TCP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Application<'a> {
    /// Nothing that Aeraki knows.
    Plain,
    /// Apache Dubbo.
    Dubbo,
    /// Apache Thrift.
    Thrift,
    /// A protocol of Aeraki's MetaProtocol framework, by name, in lower case.
    Meta(Cow<'a, str>),
}

/// The longest name of a MetaProtocol: `tcp-metaprotocol-<name>-65535` fits a port name that an endpoint can repeat.
const LONGEST_META: usize = 39;

impl<'a> Application<'a> {
    /// From `dubbo`, `thrift` or `metaprotocol-<name>` in any case.
    pub(super) fn read(name: &'a str) -> Option<Self> {
        if name.eq_ignore_ascii_case("dubbo") {
            return Some(Self::Dubbo);
        }
        if name.eq_ignore_ascii_case("thrift") {
            return Some(Self::Thrift);
        }
        let (first, meta) = name.split_once('-')?;
        if !first.eq_ignore_ascii_case("metaprotocol") || meta.len() > LONGEST_META || !is_dns_label(meta) {
            return None;
        }
        Some(Self::Meta(if meta.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(meta.to_ascii_lowercase())
        } else {
            Cow::Borrowed(meta)
        }))
    }

    /// From a port's name, such as `tcp-dubbo-20880`, as Aeraki reads it.
    pub(super) fn of_port_name(name: &'a str) -> Self {
        let Some(rest) = name.strip_prefix("tcp-") else {
            return Self::Plain;
        };
        match rest.split('-').next() {
            Some("dubbo") => return Self::Dubbo,
            Some("thrift") => return Self::Thrift,
            Some("metaprotocol") => {}
            _ => return Self::Plain,
        }
        let without_number = match rest.rsplit_once('-') {
            Some((front, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => front,
            _ => rest,
        };
        Self::read(without_number).unwrap_or(Self::Plain)
    }
}
