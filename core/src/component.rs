//! The component's export: what the host calls.
//!
//! Compiled for WebAssembly only. The allocator never frees: every call runs in a fresh instance whose memory the host
//! caps and throws away afterwards, so freeing would be work for nothing.

use lol_alloc::{LeakingAllocator, LockedAllocator};

use crate::model::{Failure, Guest, ModuleInfo, Outcome, Request};

#[global_allocator]
static ALLOCATOR: LockedAllocator<LeakingAllocator> = LockedAllocator::new(LeakingAllocator::new());

struct Component;

impl Guest for Component {
    fn describe() -> ModuleInfo {
        crate::describe()
    }

    fn convert(request: Request) -> Result<Outcome, Failure> {
        crate::convert(&request)
    }
}

#[allow(unsafe_code, missing_docs)]
mod export {
    crate::model::export!(Component with_types_in crate::model::bindings);
    use super::Component;
}
