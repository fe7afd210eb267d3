//! Counts the parts of a component before any compiler sees it: a few bytes can ask for a million variables, or for eight
//! memories, and a text that names which is better than a compiler that was stopped.

use wasmparser::{BinaryReaderError, FunctionBody, Parser, Payload};

/// Functions of all core modules together. Python's interpreter has some 20,000.
const FUNCTIONS: u64 = 200_000;
/// Local variables of all functions together. A compiler makes room for each, in every block of its function.
const LOCALS: u64 = 4_000_000;
/// Local variables of one function; a quarter of the most that WebAssembly engines agree on.
const LOCALS_OF_ONE: u64 = 12_500;
/// The largest function, in bytes. The loop of a JavaScript interpreter has some 100,000.
const BODY: u64 = 1 << 20;
/// Memories that one component may be made of, and likewise tables. Ours has one of each; a JavaScript guest some adapters more.
pub(super) const MEMORIES: u32 = 8;
/// Core instances, likewise: componentize-qjs makes 13, most of them stubs without memory; componentize-py more than 96.
pub(super) const INSTANCES: u32 = 64;

/// A part of which a component has more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Excess {
    pub(super) part: &'static str,
    pub(super) found: u64,
    pub(super) limit: u64,
}

#[derive(Default)]
struct Census {
    functions: u64,
    locals: u64,
    locals_of_one: u64,
    body: u64,
    memories: u64,
    tables: u64,
    instances: u64,
}

/// The first part that exceeds its limit. Bytes that cannot be read are left to the compiler, which says what is wrong with them.
pub(super) fn excess(bytes: &[u8]) -> Option<Excess> {
    let mut census = Census::default();
    for payload in Parser::new(0).parse_all(bytes) {
        payload.and_then(|payload| census.count(&payload)).ok()?;
        if let Some(excess) = census.excess() {
            return Some(excess);
        }
    }
    None
}

impl Census {
    fn count(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::MemorySection(section) => self.memories += u64::from(section.count()),
            Payload::TableSection(section) => self.tables += u64::from(section.count()),
            Payload::InstanceSection(section) => self.instances += u64::from(section.count()),
            Payload::CodeSectionEntry(body) => return self.function(body),
            _ => {}
        }
        Ok(())
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Result<(), BinaryReaderError> {
        let mut locals = 0;
        for group in body.get_locals_reader()? {
            locals += u64::from(group?.0);
        }
        self.functions += 1;
        self.locals += locals;
        self.locals_of_one = self.locals_of_one.max(locals);
        self.body = self.body.max(body.range().len() as u64);
        Ok(())
    }

    fn excess(&self) -> Option<Excess> {
        let counts = [
            ("functions", self.functions, FUNCTIONS),
            ("local variables", self.locals, LOCALS),
            ("local variables in one function", self.locals_of_one, LOCALS_OF_ONE),
            ("bytes in one function", self.body, BODY),
            ("memories", self.memories, MEMORIES.into()),
            ("tables", self.tables, MEMORIES.into()),
            ("core instances", self.instances, INSTANCES.into()),
        ];
        let over = counts.into_iter().find(|(_, found, limit)| found > limit);
        over.map(|(part, found, limit)| Excess { part, found, limit })
    }
}
