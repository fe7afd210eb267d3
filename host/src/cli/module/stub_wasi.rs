//! `module stub-wasi`: gives a core module the WASI that its runtime cannot do without, so that it imports nothing.
//!
//! Go's compiler, for one, knows no other target than `wasip1`, and its runtime asks for the time and for chance before anything
//! else. The imported functions are replaced by functions of the module's own, which answer as a machine would that has no files,
//! no input, a clock that goes on by a millisecond whenever it is read, and no chance: so a call stays a pure function.
//!
//! Imported functions come first in the numbering of functions, and so do those that take their places: no number changes, and
//! nothing but the sections concerned is read at all.

use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use wasm_encoder::{
    CodeSection, ConstExpr, Function, FunctionSection, GlobalSection, GlobalType, InstructionSink, MemArg, Module,
    RawSection, ValType,
};
use wasmparser::{CompositeInnerType, FuncType, Parser, Payload, TypeRef};

const WASI: &str = "wasi_snapshot_preview1";
/// The numbers of WASI's errors.
const BAD_FILE: i32 = 8;
const NOT_SUPPORTED: i32 = 52;
/// Nanoseconds by which the clock goes on when it is read.
const TICK: i64 = 1_000_000;
/// The time of a wait, which ends at once.
const WAIT: i64 = 1_000_000_000;

const EXAMPLES: &str = "\
Examples:
  GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o core.wasm .
  polaris2istio module stub-wasi core.wasm stubbed.wasm
  wasm-tools component embed wit/converter.wit stubbed.wasm --world converter -o embedded.wasm
  wasm-tools component new embedded.wasm -o mine.wasm

IN is a core module: what a compiler writes, before it is made a component. Its imports from wasi_snapshot_preview1 become
functions of its own: there are no files, no arguments, no environment; writing fails, exiting traps; time goes on by a
millisecond whenever it is asked for, and random bytes are zero, so that the same question gets the same answer.";

/// Arguments of `module stub-wasi`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct StubArgs {
    /// A core module that imports WASI
    #[arg(value_name = "IN")]
    from: PathBuf,
    /// The file for the module that imports nothing
    #[arg(value_name = "OUT")]
    to: PathBuf,
}

pub(super) fn stub_wasi(args: &StubArgs) -> anyhow::Result<ExitCode> {
    let (from, to) = (args.from.display(), args.to.display());
    let module = std::fs::read(&args.from).with_context(|| format!("{from}: cannot be read"))?;
    let stubbed = stub(&module).with_context(|| format!("{from}: cannot be given a WASI of its own"))?;
    std::fs::write(&args.to, &stubbed.module).with_context(|| format!("{to}: cannot be written"))?;
    writeln!(std::io::stdout(), "{to}: {} functions of {WASI} stubbed", stubbed.count)?;
    Ok(ExitCode::SUCCESS)
}

struct Stubbed {
    module: Vec<u8>,
    count: usize,
}

/// An imported function: its name, the number of its type, and the type.
type Import<'a> = (&'a str, u32, FuncType);

fn stub(bytes: &[u8]) -> anyhow::Result<Stubbed> {
    let mut writer = Writer { bytes, out: Module::new(), imports: Vec::new(), clock: None };
    let mut types = Vec::new();
    let mut globals = 0;
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.context("it is no WebAssembly module; give what the compiler wrote")? {
            Payload::Version { encoding: wasmparser::Encoding::Component, .. } => {
                bail!("it is a component already; give the core module that it was made from")
            }
            Payload::TypeSection(section) => {
                writer.raw(1, section.range());
                for group in section {
                    for sub in group?.into_types() {
                        types.push(match sub.composite_type.inner {
                            CompositeInnerType::Func(function) => Some(function),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let kind = match import.ty {
                        TypeRef::Func(kind) if import.module == WASI => kind,
                        _ => bail!(
                            "it imports `{}` of `{}`, which is not {WASI}; a conversion module may import nothing, so leave that out",
                            import.name,
                            import.module
                        ),
                    };
                    let function = types.get(kind as usize).cloned().flatten().context("an import has no type")?;
                    writer.imports.push((import.name, kind, function));
                }
            }
            Payload::FunctionSection(section) => {
                let mut functions = FunctionSection::new();
                for (_, kind, _) in &writer.imports {
                    functions.function(*kind);
                }
                for kind in section {
                    functions.function(kind?);
                }
                writer.out.section(&functions);
            }
            Payload::GlobalSection(section) => {
                globals = section.count();
                writer.globals(globals, Some(section.range()))?;
            }
            Payload::CodeSectionStart { count, .. } => {
                writer.ensure_clock(globals)?;
                bodies.reserve(count as usize);
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.range()),
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    if !bodies.is_empty() {
                        writer.code(&std::mem::take(&mut bodies))?;
                    }
                    // Custom sections may stand anywhere, all others in their order.
                    if id > 6 {
                        writer.ensure_clock(globals)?;
                    }
                    writer.raw(id, range);
                }
            }
        }
    }
    if !bodies.is_empty() {
        writer.code(&bodies)?;
    }
    Ok(Stubbed { count: writer.imports.len(), module: writer.out.finish() })
}

struct Writer<'a> {
    bytes: &'a [u8],
    out: Module,
    imports: Vec<Import<'a>>,
    /// The number of the global that is the clock, once it is written.
    clock: Option<u32>,
}

impl Writer<'_> {
    fn raw(&mut self, id: u8, range: Range<usize>) {
        self.out.section(&RawSection { id, data: &self.bytes[range] });
    }

    /// The module's globals, and the clock after them, so that no number changes.
    fn globals(&mut self, count: u32, section: Option<Range<usize>>) -> anyhow::Result<()> {
        let mut globals = GlobalSection::new();
        if let Some(range) = section {
            let reader = wasmparser::GlobalSectionReader::new(wasmparser::BinaryReader::new(&self.bytes[range], 0))?;
            let mut encoder = wasm_encoder::reencode::RoundtripReencoder;
            wasm_encoder::reencode::Reencode::parse_global_section(&mut encoder, &mut globals, reader)
                .context("its globals cannot be read")?;
        }
        let clock = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
        globals.global(clock, &ConstExpr::i64_const(WAIT));
        self.out.section(&globals);
        self.clock = Some(count);
        Ok(())
    }

    fn ensure_clock(&mut self, count: u32) -> anyhow::Result<()> {
        if self.clock.is_none() { self.globals(count, None) } else { Ok(()) }
    }

    fn code(&mut self, bodies: &[Range<usize>]) -> anyhow::Result<()> {
        let clock = self.clock.context("it has code before its globals")?;
        let mut code = CodeSection::new();
        for (name, _, kind) in &self.imports {
            code.function(&body(name, kind, clock));
        }
        for body in bodies {
            code.raw(&self.bytes[body.clone()]);
        }
        self.out.section(&code);
        Ok(())
    }
}

/// The doing of a function of WASI here. One of another type than WASI's, or that no machine of this kind has, says so.
fn body(name: &str, kind: &FuncType, clock: u32) -> Function {
    use wasmparser::ValType::{I32, I64};
    let mut function = Function::new([]);
    let mut code = function.instructions();
    let at = |offset| MemArg { offset, align: 2, memory_index: 0 };
    match (name, kind.params()) {
        _ if kind.results() != [I32] => {
            code.unreachable();
        }
        ("args_sizes_get" | "environ_sizes_get", [I32, I32]) => {
            code.local_get(0).i32_const(0).i32_store(at(0)).local_get(1).i32_const(0).i32_store(at(0)).i32_const(0);
        }
        ("args_get" | "environ_get" | "sched_yield", _) => {
            code.i32_const(0);
        }
        ("clock_res_get", [I32, I32]) => {
            code.local_get(1).i64_const(TICK).i64_store(at(0)).i32_const(0);
        }
        ("clock_time_get", [I32, I64, I32]) => {
            pass(&mut code, clock, TICK);
            code.local_get(2).global_get(clock).i64_store(at(0)).i32_const(0);
        }
        ("random_get", [I32, I32]) => {
            code.local_get(0).i32_const(0).local_get(1).memory_fill(0).i32_const(0);
        }
        ("poll_oneoff", [I32, I32, I32, I32]) => {
            // One event: an empty one, by which a clock says that it rang.
            pass(&mut code, clock, WAIT);
            code.local_get(1).i32_const(0).i32_const(32).memory_fill(0);
            code.local_get(3).i32_const(1).i32_store(at(0)).i32_const(0);
        }
        (name, _) if name.starts_with("fd_") => {
            code.i32_const(BAD_FILE);
        }
        _ => {
            code.i32_const(NOT_SUPPORTED);
        }
    }
    code.end();
    function
}

fn pass(code: &mut InstructionSink<'_>, clock: u32, time: i64) {
    code.global_get(clock).i64_const(time).i64_add().global_set(clock);
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{EntityType, ExportKind, ExportSection, ImportSection, MemorySection, MemoryType, TypeSection};
    use wasmtime::{Engine, Instance, Store};

    use super::*;

    /// A module that imports these functions of WASI, and exports one that asks the clock twice and gives the difference, and one
    /// that gives what the last import says.
    fn module(from: &str, globals: bool) -> Vec<u8> {
        let (i32, i64) = (ValType::I32, ValType::I64);
        let mut types = TypeSection::new();
        types.ty().function([i32, i64, i32], [i32]);
        types.ty().function([i32, i32], [i32]);
        types.ty().function([], [i64]);
        types.ty().function([], [i32]);
        let mut imports = ImportSection::new();
        imports.import(WASI, "clock_time_get", EntityType::Function(0));
        imports.import(WASI, "random_get", EntityType::Function(1));
        imports.import(from, "fd_prestat_get", EntityType::Function(1));
        let mut functions = FunctionSection::new();
        functions.function(2).function(3);
        let mut memories = MemorySection::new();
        memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
        let mut own = GlobalSection::new();
        own.global(GlobalType { val_type: i32, mutable: false, shared: false }, &ConstExpr::i32_const(7));
        let mut exports = ExportSection::new();
        exports.export("passed", ExportKind::Func, 3).export("told", ExportKind::Func, 4);
        let at = MemArg { offset: 0, align: 2, memory_index: 0 };
        let mut code = CodeSection::new();
        let mut passed = Function::new([]);
        let mut sink = passed.instructions();
        for to in [8, 16] {
            sink.i32_const(0).i64_const(0).i32_const(to).call(0).drop();
        }
        sink.i32_const(16).i64_load(at).i32_const(8).i64_load(at).i64_sub().end();
        let mut told = Function::new([]);
        // The bytes of chance are zero, so they add nothing to what the last one says.
        let mut sink = told.instructions();
        sink.i32_const(32).i32_const(-1).i32_store(at).i32_const(32).i32_const(4).call(1).drop();
        sink.i32_const(32).i32_load(at).i32_const(0).i32_const(0).call(2).i32_add();
        if globals {
            sink.global_get(0).i32_add();
        }
        sink.end();
        code.function(&passed).function(&told);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&memories);
        if globals {
            module.section(&own);
        }
        module.section(&exports).section(&code);
        module.finish()
    }

    #[test]
    fn a_module_has_a_wasi_of_its_own() {
        let engine = Engine::default();
        for (globals, told) in [(false, BAD_FILE), (true, BAD_FILE + 7)] {
            let stubbed = stub(&module(WASI, globals)).unwrap();
            assert_eq!(stubbed.count, 3);
            let compiled = wasmtime::Module::new(&engine, &stubbed.module).unwrap();
            assert_eq!(compiled.imports().len(), 0);
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &compiled, &[]).unwrap();
            let passed = instance.get_typed_func::<(), i64>(&mut store, "passed").unwrap();
            assert_eq!(passed.call(&mut store, ()).unwrap(), TICK);
            let function = instance.get_typed_func::<(), i32>(&mut store, "told").unwrap();
            assert_eq!(function.call(&mut store, ()).unwrap(), told);
            // What imports nothing stays what it is, but for a clock that nobody reads.
            assert_eq!(stub(&stubbed.module).unwrap().count, 0);
        }
    }

    #[test]
    fn what_it_cannot_do_is_told() {
        let error = |bytes: &[u8]| format!("{:#}", stub(bytes).err().unwrap());
        assert!(error(&module("env", true)).contains("it imports `fd_prestat_get` of `env`, which is not wasi_"));
        assert!(error(b"#!/bin/sh").contains("it is no WebAssembly module"));
        assert!(error(b"\0asm\x0d\0\x01\0").contains("it is a component already"));
    }
}
