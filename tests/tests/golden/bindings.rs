//! `core/src/bindings.rs` is what wit-bindgen makes of `wit/`. It is kept in the repository, since its generator takes longer to
//! compile than all else that the rules need, and would be compiled for every build of the component.

use std::fs;
use std::path::Path;

use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::Opts;
use wit_parser::Resolve;

use crate::{HINT, UPDATE};

fn generate(wit: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).unwrap();
    let world = resolve.select_world(&[package], Some("converter")).unwrap();
    let derives = ["PartialEq", "Eq", "serde::Serialize"].map(String::from).to_vec();
    let options =
        Opts { format: true, additional_derive_attributes: derives, pub_export_macro: true, ..Opts::default() };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).unwrap();
    let (_, code) = files.iter().next().unwrap();
    String::from_utf8(code.to_vec()).unwrap()
}

#[test]
fn the_models_types_are_those_of_the_world() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let kept = root.join("core/src/bindings.rs");
    let made = generate(&root.join("wit"));
    if std::env::var_os(UPDATE).is_some() {
        fs::write(kept, made).unwrap();
    } else {
        assert!(fs::read_to_string(kept).unwrap() == made, "core/src/bindings.rs is not what wit/ makes; {HINT}");
    }
}
