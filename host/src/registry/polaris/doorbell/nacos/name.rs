//! The name of a service as Polaris's imitation of Nacos has it.
//!
//! Polaris tells of a service `group__name` as of `name` in the default group (1.18.1; read in `core/push.go`, where a name that was
//! cut before is cut again), so that is what is subscribed to. Several services may have one name there; all of them ring then.

use crate::registry::ServiceKey;

/// The group of what has none.
const DEFAULT_GROUP: &str = "DEFAULT_GROUP";

/// A name of three parts, which is that of one service or of some.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) namespace: String,
    pub(super) group: String,
    pub(super) service: String,
}

impl Name {
    pub(super) fn of(service: &ServiceKey) -> Self {
        let namespace = if &*service.namespace == "default" { "public" } else { &*service.namespace };
        let joined = service.name.replace("@@", "__");
        let name = joined.strip_prefix("DEFAULT_GROUP__").unwrap_or(&joined);
        // Of more than two parts, the second.
        let name = name.split("__").nth(1).unwrap_or(name);
        Self { namespace: namespace.to_owned(), group: DEFAULT_GROUP.to_owned(), service: name.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(namespace: &str, service: &str, expected: (&str, &str)) {
        let name = Name::of(&ServiceKey::new(namespace, service));
        assert_eq!((&*name.namespace, &*name.service), expected);
    }

    #[test]
    fn names_are_those_that_polaris_tells() {
        check("default", "cart", ("public", "cart"));
        check("shop", "cart", ("shop", "cart"));
        check("shop", "GROUP__cart", ("shop", "cart"));
        check("shop", "GROUP@@cart", ("shop", "cart"));
        check("shop", "DEFAULT_GROUP__cart", ("shop", "cart"));
        check("shop", "a__b__c", ("shop", "b"));
        check("shop", "a_b", ("shop", "a_b"));
    }
}
