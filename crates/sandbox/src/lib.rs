//! Task modules: what they may be ([`admission`]) and what they see while
//! they run ([`host`]).
//!
//! Pure: no clock, randomness, files or network of the machine. The same host
//! serves a module in a browser and in wasmtime, over [`GuestMemory`], so that
//! a task has one answer wherever it runs. docs/task-modules.md is the page
//! for people who write modules.

#[cfg(feature = "admission")]
pub mod admission;
pub mod host;

#[cfg(feature = "admission")]
pub use admission::{AdmissionError, Admitted, admit};
pub use host::{Control, DeviceLimit, GuestMemory, Host, Outcome, ValueType, WasiFunction};

/// Version of admission: the same source bytes and the same version always
/// make the same admitted bytes.
pub const ADMISSION: u16 = 2;

/// Names in the interface between an admitted module and whoever runs it.
pub mod names {
    /// Import module of the WASI functions.
    pub const WASI: &str = "wasi_snapshot_preview1";
    /// Import module of what admission adds.
    pub const GRID: &str = "grid";
    /// `grid.refill(remaining: i64) -> i64`: see [`crate::Host::refill`].
    pub const REFILL: &str = "refill";
    /// `grid.grow(pages: i32) -> i32`: see [`crate::Host::grow`].
    pub const GROW: &str = "grow";
    /// `grid.stack_overflow()`: see [`crate::Host::stack_overflow`].
    pub const STACK_OVERFLOW: &str = "stack_overflow";
    /// Exported mutable i64 global: fuel left of what was granted, as the host
    /// sees it.
    pub const FUEL: &str = "grid_fuel";
    /// Exported memory.
    pub const MEMORY: &str = "memory";
    /// Exported entry function, without parameters and results.
    pub const START: &str = "_start";
}
