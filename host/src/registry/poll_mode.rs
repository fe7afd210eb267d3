//! The mode of following: how eagerly, and from when on answers count.

/// How eagerly services are asked for. The reader sets it; a change takes effect at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollMode {
    /// Ask less often: nobody acts on the answers now.
    pub slow: bool,
    /// Every service is asked for anew, and reported even if nothing changed, when this grows. So that whoever begins to act
    /// acts on nothing that was asked for before.
    pub term: u64,
}
