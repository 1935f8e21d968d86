//! Integer tensor operators with one answer on every device: docs/arithmetic.md, version 1.
//!
//! Each operator is defined once, plainly, and everything faster must equal it bit for bit.

pub mod activation;
pub mod backend;
pub mod fixed;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod ops;
mod tables;
pub mod weights;

/// Version of the arithmetic that specs and receipts name.
pub const ARITHMETIC: u16 = 1;
