//! Modules in text form, run for real.

mod differential;
mod fuel;
mod hostile;
mod libc;
mod nan;
mod spec;

use crate::{Engine, EngineError, Module};
use grid_protocol::{Digest, ExitReason, Files, Runtime, Spec};
use grid_sandbox::{ADMISSION, Outcome, admit};
use std::ops::ControlFlow;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().unwrap());

fn spec() -> Spec {
    Spec {
        runtime: Runtime::Wasm,
        arithmetic: 0,
        source: Digest::ZERO,
        module: Digest::ZERO,
        admission: ADMISSION,
        args: Vec::new(),
        env: Vec::new(),
        seed: [7; 32],
        input: Digest::ZERO,
        fuel: 50_000_000,
        memory_pages: 64,
        output_bytes: 65_536,
    }
}

/// Admits and compiles a module in text form.
fn load(text: &str) -> Module {
    let source = wat::parse_str(text).unwrap();
    ENGINE.load(&admit(&source).unwrap().bytes).unwrap()
}

fn run_slice(module: &Module, spec: &Spec, slice: u64) -> Outcome {
    let go = Box::new(|_| ControlFlow::Continue(()));
    ENGINE.run_sliced(module, spec, Files::stdin(b"hello".to_vec()), slice, go).unwrap()
}

fn run(text: &str, spec: &Spec) -> Outcome {
    run_slice(&load(text), spec, crate::SLICE)
}

/// A module with memory, `print` (address, length) on standard output,
/// `body` in `_start`, and `more` beside it.
fn program(body: &str, more: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
            (memory (export "memory") 2)
            (data (i32.const 100) "hello\n")
            (func $print (param i32 i32)
                (i32.store (i32.const 0) (local.get 0))
                (i32.store (i32.const 4) (local.get 1))
                (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func (export "_start") {body})
            {more})"#
    )
}

const HELLO: &str = "(call $print (i32.const 100) (i32.const 6))";

#[test]
fn hello() {
    let outcome = run(&program(HELLO, ""), &spec());
    assert_eq!(outcome.reason, ExitReason::Exit);
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(outcome.output.get("stdout"), Some(&b"hello\n"[..]));
    // call and two constants; stores, call and drop of $print; fd_write.
    assert_eq!(outcome.fuel, 3 + 12 + 1000 + 100);
}

#[test]
fn stops_when_told() {
    let module = load(&program("(loop (br 0))", ""));
    let mut left = 3;
    let stop = move |_| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let result = ENGINE.run(&module, &Spec { fuel: 1 << 50, ..spec() }, Files::stdin(vec![]), stop);
    assert!(matches!(result, Err(EngineError::Stopped)));
}

#[test]
fn refuses_what_admission_did_not_make() {
    let check = |bytes: &[u8]| {
        assert!(matches!(ENGINE.load(bytes), Err(EngineError::NotAdmitted(_))));
    };
    check(b"");
    check(b"\0asm\x01\0\0\0");
    check(&wat::parse_str(program(HELLO, "")).unwrap());
    let other = r#"(module (import "env" "f" (func)) (memory (export "memory") 1)
        (global (export "grid_fuel") (mut i64) (i64.const 0)) (func (export "_start")))"#;
    check(&wat::parse_str(other).unwrap());
}
