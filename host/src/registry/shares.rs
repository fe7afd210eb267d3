//! Who may take how much of the memory for all answers: a service and a namespace of the registry have a share of their own
//! that no other can take, so that one which fills what is common freezes nobody else.

use std::collections::HashMap;

use super::ServiceKey;
use super::size::KEPT_LIMIT;

/// What services have for themselves, each an equal part of it.
const OF_SERVICES: usize = KEPT_LIMIT / 4;
/// What namespaces have for themselves beyond that, each an equal part of it.
const OF_NAMESPACES: usize = KEPT_LIMIT / 4;
/// What is for whoever comes first.
const COMMON: usize = KEPT_LIMIT - OF_SERVICES - OF_NAMESPACES;
/// A service has this for itself, however many there are.
const SMALL: usize = 16 << 10;

/// Whether a service may take so much beside the others. These are all that are subscribed to, each with what it takes now.
pub(super) fn has_room<'a>(
    service: &ServiceKey,
    size: usize,
    all: impl ExactSizeIterator<Item = (&'a ServiceKey, usize)>,
) -> bool {
    let own = (OF_SERVICES / all.len().max(1)).max(SMALL);
    if size <= own {
        return true;
    }
    let mut namespaces = HashMap::<&str, usize>::new();
    for (other, kept) in all.filter(|(other, _)| **other != *service) {
        *namespaces.entry(&other.namespace).or_default() += kept.saturating_sub(own);
    }
    let asked = namespaces.entry(&service.namespace).or_default();
    *asked += size - own;
    let asked = *asked;
    let of_namespace = OF_NAMESPACES / namespaces.len();
    asked <= of_namespace
        || namespaces.values().map(|taken| taken.saturating_sub(of_namespace)).sum::<usize>() <= COMMON
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[track_caller]
    fn check(service: &str, size: usize, all: &[(&str, usize)], expected: bool) {
        let key = |text: &str| {
            let (namespace, name) = text.split_once('/').unwrap();
            ServiceKey::new(namespace, name)
        };
        let all: Vec<_> = all.iter().map(|(name, size)| (key(name), *size)).collect();
        let found = has_room(&key(service), size, all.iter().map(|(key, size)| (key, *size)));
        assert_eq!(found, expected, "{service} {size}");
    }

    #[test]
    fn one_alone_may_take_all() {
        check("a/1", 128 * MIB, &[("a/1", 0)], true);
        check("a/1", 129 * MIB, &[("a/1", 0)], false);
    }

    #[test]
    fn a_greedy_namespace_takes_nothing_of_another() {
        // All that the first can have beside a second one.
        let full = [("greedy/1", 16 * MIB + 16 * MIB + 64 * MIB), ("other/1", 0)];
        check("greedy/1", full[0].1, &full, true);
        check("greedy/1", full[0].1 + 1, &full, false);
        check("other/1", 32 * MIB, &full, true);
        check("other/1", 33 * MIB, &full, false);
    }

    #[test]
    fn a_greedy_service_takes_nothing_of_its_neighbours() {
        let full = [("a/greedy", 112 * MIB), ("a/1", 0)];
        check("a/greedy", full[0].1, &full, true);
        check("a/1", 16 * MIB, &full, true);
        check("a/1", 17 * MIB, &full, false);
        let many: Vec<_> = (0..10_000).map(|n| format!("a/{n}")).collect();
        let mut all: Vec<_> = many.iter().map(|name| (&**name, SMALL)).collect();
        all[0].1 = 200 * MIB;
        check("a/7", SMALL, &all, true);
        check("a/7", 2 * SMALL, &all, false);
    }
}
