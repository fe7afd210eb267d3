//! The annotations that an operator writes on a ServiceEntry for this controller, and how to look one up.

/// The registry's namespace of the service. Required.
pub const NAMESPACE: &str = "aeraki.net/polarisNamespace";
/// The registry's name of the service. Required.
pub const SERVICE: &str = "aeraki.net/polarisService";
/// Whether the service is outside the mesh: `"true"` or `"false"`.
pub const EXTERNAL: &str = "aeraki.net/external";
/// Takes only the instances of this protocol; `any` lets every port take instances of any protocol.
pub const PROTOCOL: &str = "aeraki.net/protocol";
/// The service account that all instances run as: what makes proxies speak mutual TLS to them.
pub const SERVICE_ACCOUNT: &str = "aeraki.net/serviceAccount";
/// The network that all instances are in.
pub const NETWORK: &str = "aeraki.net/network";

/// The value of `key`, if it is there. A linear search: entries carry a handful of annotations.
pub fn find<'a>(annotations: &'a [(String, String)], key: &str) -> Option<&'a str> {
    annotations.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}
