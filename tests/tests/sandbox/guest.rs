//! Components that are not ours: the misbehaving guest, and dummies of any world.

use std::path::Path;

use polaris2istio::converter::source::Candidate;
pub(crate) use polaris2istio_tests::guest::{build, cargo, encode, misbehaving, root, target, variant};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

/// A core module that fits the first world of this text, and traps whatever is called.
pub(crate) fn dummy_module(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("dummy.wit", wit).unwrap();
    let world = *resolve.packages[package].worlds.first().expect("a world").1;
    let mut module =
        wit_component::dummy_module(&resolve, world, ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// The same as a component.
pub(crate) fn dummy(wit: &str) -> Vec<u8> {
    encode(&dummy_module(wit))
}

/// A component file as a candidate.
pub(crate) fn candidate(path: &Path) -> Candidate {
    Candidate::new(std::fs::read(path).unwrap(), path.display().to_string())
}
