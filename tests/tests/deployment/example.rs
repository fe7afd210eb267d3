//! The example overlay, copied as deploy/docs/install.md says.

use std::fs;
use std::path::Path;
use std::process::Command;

use polaris2istio_tests::servers::{Binaries, Manifests};
use tempfile::TempDir;

const OVERLAY: &str = "deploy/kustomize/overlays/example/kustomization.yaml";

/// A checkout's `deploy`, to be changed.
pub(crate) fn checkout() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    assert!(Command::new("cp").arg("-r").arg(deploy).arg(copy.path()).status().unwrap().success());
    copy
}

/// The rendering of the example with all that it offers behind `#`. Its sentences have one space after that, its lines two.
pub(crate) fn with_all(binaries: &Binaries) -> Manifests {
    let checkout = checkout();
    let overlay = checkout.path().join(OVERLAY);
    let text = fs::read_to_string(&overlay).unwrap().replace("\n#  ", "\n  ");
    fs::write(&overlay, text).unwrap();
    Manifests::kustomize(binaries, overlay.parent().unwrap())
}
