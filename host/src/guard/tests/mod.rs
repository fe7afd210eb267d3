//! The rows of the guard, with a clock of their own.

mod bench;
mod fleet;
mod places;
mod rows;
