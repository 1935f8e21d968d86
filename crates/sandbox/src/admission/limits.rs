//! What a module may have at most. Below what every supported engine takes
//! (the WebAssembly JavaScript interface, "Implementation-defined Limits"), so
//! that an admitted module compiles everywhere.

/// Function types.
pub(super) const TYPES: u64 = 20_000;
/// Imports; the same function may be imported more than once.
pub(super) const IMPORTS: u64 = 256;
/// Functions with a body.
pub(super) const FUNCTIONS: u64 = 50_000;
/// Bytes of one function's body, before admission.
pub(super) const BODY: u64 = 2 * 1024 * 1024;
/// Bytes of one function's body after admission: what engines take.
pub(super) const ADMITTED_BODY: u64 = 7_654_321;
/// Parameters, and results, of one function or block.
pub(super) const PARAMS: u64 = 256;
/// Locals of one function, parameters included.
pub(super) const LOCALS: u64 = 10_000;
/// Blocks open inside each other in one function.
pub(super) const NESTING: u64 = 10_000;
/// Locals times basic blocks of one function, and of the whole module: what
/// compiling costs in time and memory.
pub(super) const LOCALS_BY_BLOCKS: u64 = 64_000_000;
pub(super) const MODULE_LOCALS_BY_BLOCKS: u64 = 256_000_000;
/// Parameters and results of all calls and blocks in the code together: each
/// becomes at least an instruction when compiled.
pub(super) const VALUES_PASSED: u64 = 32_000_000;
/// Targets of one `br_table`.
pub(super) const BR_TABLE: u64 = 10_000;
/// Globals.
pub(super) const GLOBALS: u64 = 10_000;
/// Tables.
pub(super) const TABLES: u64 = 8;
/// Elements a table has at first, and those it may grow to.
pub(super) const TABLE_ELEMENTS: u64 = 100_000;
/// Exports. All but two are dropped.
pub(super) const EXPORTS: u64 = 50_000;
/// Data segments, and element segments.
pub(super) const SEGMENTS: u64 = 10_000;

/// Bytes of stack that all frames of a run may have together, counted as
/// docs/task-modules.md says. A Chromium worker overflows at about 490 KB
/// (9,081 frames with one local, 12 frames with 5,000), and twice as much where
/// the module may suspend. Measured over frames of locals, operands, vectors,
/// parameters and results in both of V8's tiers, this is reached at half of
/// that or earlier. What no count of values foresees is an optimising compiler
/// that keeps results which the code computes again after a call; a module
/// built to do that meets the device's limit first, which is no outcome.
pub(super) const STACK: u32 = 224 * 1024;
/// What every frame is charged besides its values.
pub(super) const FRAME: u64 = 64;
/// Frames up to this size are free in functions that call nothing: at most
/// one such frame exists at a time.
pub(super) const LEAF_FRAME: u64 = 1024;
/// What a larger frame is charged, more than there is: the lower bits of a
/// budget can't hold less than its negative.
pub(super) const LARGEST_FRAME: u64 = 1 << 18;
/// Fuel up to which a function that has no loop and calls nothing doesn't look
/// whether the fuel is used up: its callers do.
pub(super) const SHORT: u64 = 1000;
