//! Which services of a namespace a policy wants.

use std::collections::BTreeMap;

use super::glob::fits;
use super::import::{Expression, Operator, Select};

impl Select {
    /// Whether a service is selected, by its name and its metadata in the registry.
    pub fn selects(&self, name: &str, metadata: &BTreeMap<String, String>) -> bool {
        let any = |globs: &[String]| globs.iter().any(|glob| fits(glob, name));
        self.names.as_deref().is_none_or(any)
            && !any(&self.exclude)
            && self.match_labels.iter().all(|(key, value)| metadata.get(key) == Some(value))
            && self.match_expressions.iter().all(|expression| expression.holds(metadata))
    }
}

impl Expression {
    fn holds(&self, metadata: &BTreeMap<String, String>) -> bool {
        let value = metadata.get(&self.key);
        let among = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            Operator::In => among,
            Operator::NotIn => !among,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(select: Value, expected: &[&str]) {
        let select: Select = serde_json::from_value(select).unwrap();
        let services = [
            ("cart", json!({"team": "shop", "tier": "front"})),
            ("cart-canary", json!({"team": "shop"})),
            ("billing", json!({"team": "money"})),
            ("legacy/UPPER", json!({})),
        ];
        let selected = services
            .iter()
            .filter(|(name, metadata)| select.selects(name, &serde_json::from_value(metadata.clone()).unwrap()));
        assert_eq!(selected.map(|(name, _)| *name).collect::<Vec<_>>(), expected, "{select:?}");
    }

    #[test]
    fn selects_by_names_and_metadata() {
        check(json!({}), &["cart", "cart-canary", "billing", "legacy/UPPER"]);
        check(json!({"names": ["cart*", "b?lling"]}), &["cart", "cart-canary", "billing"]);
        check(json!({"exclude": ["*-canary", "legacy/*"]}), &["cart", "billing"]);
        check(json!({"names": ["cart*"], "exclude": ["*"]}), &[]);
        check(json!({"names": []}), &[]);
        check(json!({"matchLabels": {"team": "shop", "tier": "front"}}), &["cart"]);
        let by = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "team", "operator": operator, "values": values}]});
        check(by("In", json!(["shop", "money"])), &["cart", "cart-canary", "billing"]);
        check(by("NotIn", json!(["shop"])), &["billing", "legacy/UPPER"]);
        check(by("Exists", json!([])), &["cart", "cart-canary", "billing"]);
        check(by("DoesNotExist", json!([])), &["legacy/UPPER"]);
        check(json!({"matchLabels": {"team": "shop"}, "names": ["billing"]}), &[]);
    }
}
