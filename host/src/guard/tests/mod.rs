//! The rows of the guard, with a clock of their own.

mod bench;
mod endpoint_ports;
mod fleet;
mod restarts;
mod rows;
