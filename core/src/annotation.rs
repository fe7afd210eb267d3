//! The annotations that an operator writes on a ServiceEntry for this controller, and how to look one up.

/// The registry's namespace of the service. Required.
pub const NAMESPACE: &str = "aeraki.net/polarisNamespace";
/// The registry's name of the service. Required.
pub const SERVICE: &str = "aeraki.net/polarisService";
/// Whether the service is outside the mesh: `"true"` or `"false"`.
pub const EXTERNAL: &str = "aeraki.net/external";
/// Takes only the instances of this protocol.
pub const PROTOCOL: &str = "aeraki.net/protocol";

/// The value of `key`, if it is there. A linear search: entries carry a handful of annotations.
pub fn find<'a>(annotations: &'a [(String, String)], key: &str) -> Option<&'a str> {
    annotations.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}
