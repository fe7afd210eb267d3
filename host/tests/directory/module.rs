//! A module from a file: what it is, and what becomes of another one there.

use polaris2istio::source::ModuleBytes;
use serde_json::json;

use super::fixture::Bench;

#[test]
fn another_module_at_the_source_is_taken() {
    let bench = Bench::new();
    bench.answer("reviews", &[("10.0.0.1", 100)]);
    bench.entry("reviews", json!({}));
    let mut module = ModuleBytes::embedded().bytes.to_vec();
    bench.write("module.wasm", &module);
    let path = bench.path("module.wasm");
    let running = bench.start(&["--module", path.to_str().unwrap()]);
    bench.expect("reviews", &["10.0.0.1"]);
    assert!(running.log().contains("module.wasm"), "{}", running.log());
    // An empty custom section named `x`: the same module under another digest.
    module.extend([0, 2, 1, b'x']);
    bench.write("module.wasm", &module);
    running.expect_log("module changed: 1 entry: 1 unchanged");
    bench.answer("reviews", &[("10.0.0.2", 100)]);
    bench.expect("reviews", &["10.0.0.2"]);
}
