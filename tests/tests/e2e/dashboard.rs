//! The dashboard and the alerts, as shipped: what they ask for is there. That it can be asked is a test of the deployment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::world::World;

fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

/// The dashboard and the alerts name only metrics that exist.
#[tokio::test]
async fn dashboard_and_alerts_name_what_there_is() {
    let Some((world, _)) = World::shared("named").await else { return };
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let controller = world.controller().http().start();
    world.endpoints("cart", &["10.0.0.1"]).await;
    let (_, metrics) = controller.get("/metrics").await;
    let there: BTreeSet<_> = names(&metrics).collect();
    for file in ["grafana/polaris2istio.json", "prometheus/rules.yaml", "prometheus/rules.test.yaml"] {
        let text = std::fs::read_to_string(shipped(file)).unwrap();
        let missing: Vec<_> = names(&text).filter(|name| !there.contains(name)).collect();
        assert_eq!(missing, [""; 0], "{file}");
        assert!(names(&text).count() > 10, "{file}");
    }
}

/// The names of our metrics in a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("polaris2istio_") || word.starts_with("process_"))
}
