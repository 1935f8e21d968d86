//! What a spare worker runs while it waits: a task that does nothing, so that
//! the executor's code, its imports and the engine's stack switching are warm
//! when the real task comes. Takes milliseconds once, and saves them each time.

use crate::messages::Job;
use grid_protocol::{Digest, Files, Runtime, Side, Spec};

/// [`tests::SOURCE`], assembled.
const MODULE: &[u8] = b"\0asm\x01\0\0\0\
      \x01\x11\x03\x60\x01\x7e\x01\x7e\x60\x04\x7f\x7f\x7f\x7f\x01\x7f\x60\0\0\
      \x02\x31\x02\x04grid\x06refill\0\0\x16wasi_snapshot_preview\x31\x08fd_write\0\x01\
      \x03\x02\x01\x02\
      \x05\x03\x01\0\x01\
      \x06\x06\x01\x7e\x01\x42\0\x0b\
      \x07\x1f\x03\x06memory\x02\0\x09grid_fuel\x03\0\x06_start\0\x02\
      \x0a\x15\x01\x13\0\x42\x7f\x10\0\x24\0\x41\x01\x41\0\x41\x01\x41\x08\x10\x01\x1a\x0b";

/// The task. Its module isn't admitted, but has the same imports and exports.
pub fn rehearsal() -> Job {
    let input = Files::new(Side::Input);
    let spec = Spec {
        runtime: Runtime::Wasm,
        arithmetic: 0,
        source: Digest::ZERO,
        module: Digest::ZERO,
        admission: grid_sandbox::ADMISSION,
        args: Vec::new(),
        env: Vec::new(),
        seed: [0; 32],
        input: input.digest(),
        fuel: 1_000_000,
        memory_pages: 1,
        output_bytes: 64,
    };
    Job { spec: spec.encode(), module: MODULE.to_vec(), input: input.encode() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"(module
        (import "grid" "refill" (func (param i64) (result i64)))
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (global (export "grid_fuel") (mut i64) (i64.const 0))
        (func (export "_start")
            (global.set 0 (call 0 (i64.const -1)))
            (drop (call 1 (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

    #[test]
    fn the_module_is_its_source() {
        assert_eq!(MODULE, wat::parse_str(SOURCE).unwrap());
    }
}
