//! The name of a service in the registry: what everything here is keyed by.

use std::fmt;

use crate::title::title;

/// The namespace that the registry takes an empty one for.
const DEFAULT_NAMESPACE: &str = "default";

/// Names a service in the registry. Shown as `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// The registry's namespace, case-sensitive.
    pub namespace: String,
    /// The service's name in it, case-sensitive; it may hold `/`, `:`, `_` and `.`.
    pub name: String,
}

impl ServiceKey {
    /// Names a service; an empty namespace is the registry's `default`, as the registry itself has it.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let mut namespace = namespace.into();
        if namespace.is_empty() {
            DEFAULT_NAMESPACE.clone_into(&mut namespace);
        }
        Self { namespace, name: name.into() }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&title(&self.namespace, &self.name))
    }
}
