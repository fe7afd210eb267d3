//! istioctl: the webhook's verdict without a server.

use std::path::Path;
use std::process::Command;

use super::binaries::MeshBinaries;

/// Has it validate a file of any number of objects. The error is what it said.
pub async fn istioctl_validate(binaries: &'static MeshBinaries, file: &Path) -> Result<(), String> {
    let mut command = Command::new(&binaries.istioctl);
    command.arg("validate").arg("--filename").arg(file);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("the closure does not panic");
    let output = output.expect("istioctl can be started");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
