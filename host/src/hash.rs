//! A hash for comparing and spreading: the same in all processes of one release, and not to be kept beyond it.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

/// The same for equal values.
pub(crate) fn hash(value: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}
