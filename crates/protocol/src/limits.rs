//! Bounds that every part agrees on. Sizes are bytes unless said otherwise.

/// A body (encoded input or output list) up to this size travels inside Lease
/// and Result and commits with the receipt; a larger one is a blob file.
pub const INLINE_BODY: usize = 64 * 1024;
/// Largest WebSocket message either side accepts.
pub const MAX_MESSAGE: usize = 160 * 1024;
/// Largest task module an owner may submit, before admission.
pub const MAX_MODULE: usize = 32 * 1024 * 1024;
/// Largest module after admission.
pub const MAX_ADMITTED: usize = 64 * 1024 * 1024;
/// Largest encoded input list of one task.
pub const MAX_INPUT: usize = 64 * 1024 * 1024;
/// Text in one `Partial` message.
pub const MAX_PARTIAL: usize = 4 * 1024;
/// Models that a node may say it holds.
pub const MAX_MODELS: usize = 16;
/// An owner's name, in bytes.
pub const MAX_OWNER_NAME: usize = 64;
/// A job's name, in characters.
pub const MAX_JOB_NAME: usize = 200;
/// An invitation code, as text.
pub const MAX_INVITATION: usize = 32;
/// Largest output limit a spec may ask for.
pub const MAX_OUTPUT: u64 = 64 * 1024 * 1024;
/// Largest memory limit a spec may ask for, in 64 KiB pages (1 GiB).
pub const MAX_MEMORY_PAGES: u32 = 16 * 1024;
/// Largest fuel limit of one task.
pub const MAX_FUEL: u64 = 1 << 50;
/// All arguments and environment strings of one spec together.
pub const MAX_ARGS_BYTES: usize = 16 * 1024;
/// Arguments, and environment variables, in number.
pub const MAX_ARGS: usize = 1024;
/// Files in one list.
pub const MAX_FILES: usize = 4096;
/// A file's path in a list.
pub const MAX_PATH: usize = 1024;
/// Tasks in one job.
pub const MAX_TASKS: usize = 10_000;
/// Leases one node may hold at a time.
pub const MAX_SLOTS: u8 = 64;

/// Fuel limit of a task when its owner names none.
pub const DEFAULT_FUEL: u64 = 100_000_000_000;
/// Memory limit when the owner names none (256 MiB), in 64 KiB pages.
pub const DEFAULT_MEMORY_PAGES: u32 = 4096;
/// Output limit when the owner names none.
pub const DEFAULT_OUTPUT: u64 = 16 * 1024 * 1024;

/// Fuel that makes one point, as people are shown them.
pub const FUEL_PER_POINT: u64 = 1_000_000_000;
