//! A small map kept as a sorted list: a tree takes half a kilobyte for its first key, and an endpoint has two.
//!
//! litemap is the same on a `Vec`, which holds room for four pairs where there is one, and it takes a list of pairs for a map and
//! writes an empty map as a list, which no ServiceEntry may have.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Keys with values, sorted by key; a map in JSON and YAML.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pairs<V>(Box<[(String, V)]>);

impl<V> Pairs<V> {
    /// The number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All pairs, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self(Box::default())
    }
}

/// Of two equal keys the last one counts, as in a map.
impl<V> FromIterator<(String, V)> for Pairs<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.reverse();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|a, b| a.0 == b.0);
        Self(pairs.into())
    }
}

impl<V> From<Pairs<V>> for Vec<(String, V)> {
    fn from(pairs: Pairs<V>) -> Self {
        pairs.0.into()
    }
}

impl<V: Serialize> Serialize for Pairs<V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Map<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Map<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                std::iter::from_fn(|| map.next_entry().transpose()).collect()
            }
        }
        from.deserialize_map(Map(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_map_outside_and_sorted_inside() {
        let pairs: Pairs<u32> = serde_json::from_str(r#"{"b": 2, "a": 1, "b": 3}"#).unwrap();
        assert_eq!(pairs.iter().collect::<Vec<_>>(), [("a", &1), ("b", &3)]);
        assert_eq!(serde_json::to_string(&pairs).unwrap(), r#"{"a":1,"b":3}"#);
        assert!(serde_json::from_str::<Pairs<u32>>("[1]").is_err());
    }
}
