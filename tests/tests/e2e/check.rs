//! `check`: with the rights that the manifests give all is well, and what is missing is named with a remedy.

use std::path::Path;
use std::process::Command;

use polaris2istio_tests::servers::{User, free_port};

use super::controller::binary;
use super::world::World;

/// Its output, and its exit code.
async fn check(world: &World, kubeconfig: &Path, polaris: &str) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    command
        .args(["check", "--polaris-address", polaris, "--namespace", &world.namespace])
        .env("KUBECONFIG", kubeconfig)
        .env("POD_NAMESPACE", &world.release.namespace);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let Some((world, api)) = World::shared("check").await else { return };
    let (code, said) = check(&world, &world.release.kubeconfig, &world.polaris).await;
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "registry  ",
        "cluster   the API server is Kubernetes",
        "clock     within",
        "CRD       ServiceEntry is served as",
    ] {
        assert!(said.contains(&format!("ok    {line}")), "{line}: {said}");
    }
    // It may not look at istiod, and needs not; its own rights it has, all of them.
    for line in ["warn  istiod    not seen", "ok    rights    all 13 that", "ok    lease"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let nowhere = format!("127.0.0.1:{}", free_port());
    let (code, said) = check(&world, &world.release.kubeconfig, &nowhere).await;
    assert!(code == Some(1) && said.contains("FAIL  registry") && said.contains("ok    rights"), "{code:?} {said}");
    let (code, said) = check(&world, &api.kubeconfig(User::Limited), &world.polaris).await;
    assert!(code == Some(1) && said.contains("FAIL  rights    this identity may not"), "{code:?} {said}");
    let (code, said) = check(&world, Path::new("/nonexistent"), &world.polaris).await;
    assert!(code == Some(1) && said.contains("FAIL  cluster") && said.contains("ok    registry"), "{code:?} {said}");
}
