//! The rows of the guard, with a clock of their own.
