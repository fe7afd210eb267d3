//! Components that are not ours, as the tests of this crate name them.

use std::path::Path;

use polaris2istio::source::ModuleBytes;
pub(crate) use polaris2istio_tests::guest::{
    build, cargo, dummy, dummy_module, misbehaving, named, root, target, variant,
};

/// The bytes of a component file.
pub(crate) fn module_bytes(path: &Path) -> ModuleBytes {
    ModuleBytes::new(std::fs::read(path).unwrap(), path.display().to_string())
}
