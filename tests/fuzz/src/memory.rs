//! A module's answer as it lies in the module's memory: a component whose memory holds just the bytes that are given, so that
//! every length, pointer, case and text of the answer may be anything.

use std::sync::LazyLock;
use std::time::Duration;

use polaris2istio::converter::{Limits, LoadedModule};
use polaris2istio::source::ModuleBytes;
use polaris2istio_core::model::{Service, Verdict};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::chain;

/// Its `convert` takes the service's namespace, two letters from `a` to `p` for each byte, writes the bytes to where its
/// answer is said to be, and points there. The first field of the request is that text, so its pointer and length come first.
const MODULE: &str = r#"(module
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 65536))
  (data (i32.const 512) "m")
  (data (i32.const 1024) "\00\02\00\00\01\00\00\00\00\02\00\00\01\00\00\00\00\02\00\00\01\00\00\00")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (if (i32.gt_u (global.get $next) (i32.shl (memory.size) (i32.const 16)))
      (then (drop (memory.grow (i32.add (i32.shr_u (local.get 3) (i32.const 16)) (i32.const 1))))))
    (local.get $at))
  (func (export "polaris2istio:conversion/conversion@0.2.0#describe") (result i32) (i32.const 1024))
  (func (export "polaris2istio:conversion/conversion@0.2.0#convert") (param $request i32) (result i32)
    (local $from i32) (local $end i32) (local $to i32)
    (local.set $from (i32.load (local.get $request)))
    (local.set $end (i32.add (local.get $from) (i32.load offset=4 (local.get $request))))
    (local.set $to (i32.const 2048))
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
        (i32.store8 (local.get $to)
          (i32.or
            (i32.shl (i32.sub (i32.load8_u (local.get $from)) (i32.const 97)) (i32.const 4))
            (i32.sub (i32.load8_u offset=1 (local.get $from)) (i32.const 97))))
        (local.set $from (i32.add (local.get $from) (i32.const 2)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (br $more)))
    (i32.const 2048)))"#;

/// As much as lies between where the answer begins and what the request needs.
const LARGEST: usize = 32 << 10;

static LOADED: LazyLock<LoadedModule> = LazyLock::new(|| {
    let limits = Limits {
        memory_bytes: 1 << 20,
        time: Duration::from_secs(2),
        output_bytes: 1 << 20,
        concurrency: 1,
        ..Limits::default()
    };
    LoadedModule::new(&ModuleBytes::new(component(), "fuzz".into()), limits, Vec::new())
        .expect("the module is a sound one")
});

fn component() -> Vec<u8> {
    let mut module = wat::parse_str(MODULE).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve.push_str("converter.wit", include_str!("../../../wit/converter.wit")).unwrap();
    let world = *resolve.packages[package].worlds.first().unwrap().1;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

pub(crate) fn run(data: &[u8]) {
    let data = &data[..data.len().min(LARGEST)];
    let letters = data.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| char::from(b'a' + half));
    let service = Service {
        namespace: letters.collect(),
        name: "reviews".into(),
        revision: String::new(),
        metadata: Vec::new(),
        instances: Vec::new(),
    };
    let document = chain::entry();
    let Ok(outcome) = LOADED.call(&service, &document.entry.view().unwrap(), None) else { return };
    if let Verdict::Update(update) = outcome.verdict {
        let _ = chain::apply(update, &document);
    }
}
