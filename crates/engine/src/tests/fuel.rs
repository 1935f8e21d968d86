//! Fuel is exact, and the same whatever the slices.

use super::*;

/// Some work of every kind that is charged: loops, calls, host calls, bulk
/// operations, growth.
const WORK: &str = "(local i32) (loop
    (call $print (i32.const 100) (i32.const 6))
    (if (i32.and (local.get 0) (i32.const 1))
        (then (memory.fill (i32.const 1000) (local.get 0) (i32.const 5000)))
        (else (memory.copy (i32.const 9000) (i32.const 1000) (i32.const 999))))
    (drop (memory.grow (i32.const 1)))
    (call $time)
    (local.set 0 (i32.add (local.get 0) (i32.const 1)))
    (br_if 0 (i32.lt_u (local.get 0) (i32.const 10))))";
const TIME: &str = r#"(func $time
    (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 200)))
    (call $print (i32.const 200) (i32.const 8)))"#;

fn work() -> String {
    let import = r#"(import "wasi_snapshot_preview1" "clock_time_get"
        (func $clock (param i32 i64 i32) (result i32))) (memory (export"#;
    program(WORK, TIME).replace("(memory (export", import)
}

#[test]
fn slices_change_nothing() {
    let module = load(&work());
    let whole = run_slice(&module, &spec(), u64::MAX);
    assert_eq!(whole.reason, ExitReason::Exit);
    for slice in [0, 1, 7, 1000, 100_000] {
        assert_eq!(run_slice(&module, &spec(), slice), whole, "slice {slice}");
    }
    // And at any limit: the reason, the output and the fuel are the same.
    for fuel in (1..whole.fuel + 2000).step_by(997).chain([whole.fuel - 1, whole.fuel]) {
        let spec = Spec { fuel, ..spec() };
        let expect = run_slice(&module, &spec, u64::MAX);
        if fuel < whole.fuel {
            assert_eq!((expect.reason, expect.fuel), (ExitReason::OutOfFuel, fuel));
        } else {
            assert_eq!(expect, whole);
        }
        for slice in [1, 7, 1000] {
            assert_eq!(run_slice(&module, &spec, slice), expect, "fuel {fuel}, slice {slice}");
        }
    }
}

#[test]
fn costs() {
    let check = |body: &str, fuel: u64| {
        let outcome = run(&program(body, "(func $three (local i32 i64 f64))"), &spec());
        assert_eq!((outcome.reason, outcome.fuel), (ExitReason::Exit, fuel), "{body}");
    };
    check("", 0);
    check("nop", 1);
    check("(block (block))", 0);
    check("(drop (i32.const 1))", 2);
    check("(if (i32.const 1) (then nop nop) (else nop))", 4);
    check("(if (i32.const 0) (then nop nop) (else nop))", 3);
    check("(block (br 0) nop nop nop)", 1);
    check("(block (br_if 0 (i32.const 1)) nop nop nop)", 2);
    check("(block (br_if 0 (i32.const 0)) nop nop nop)", 5);
    check("return", 1);
    // Three times: get, const, sub, tee, br_if.
    check(
        "(local i32) (local.set 0 (i32.const 3)) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))",
        1 + 2 + 15,
    );
    check("(call $three)", 1 + 3);
    check("(memory.fill (i32.const 0) (i32.const 0) (i32.const 80))", 4 + 10);
    check("(memory.copy (i32.const 0) (i32.const 0) (i32.const 7))", 4);
    // Growing: the call, and clearing at 8 bytes a fuel.
    check("(drop (memory.grow (i32.const 3)))", 3 + 1000 + 3 * 8192);
    check("(drop (memory.grow (i32.const 1000)))", 3 + 1000);
}

/// A trap that the code announces counts all that ran before it; one of an
/// access is late by the fuel between two settlements at most.
#[test]
fn traps_count_what_ran() {
    let count = |times: u32, end: &str| {
        let body = format!(
            "(local i32) (local.set 0 (i32.const {times}))
             (loop (drop (i32.load (local.get 0)))
                (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
             {end}"
        );
        run(&program(&body, ""), &spec())
    };
    for times in [1, 10, 1000, 100_000] {
        let loops = 3 + 8 * u64::from(times);
        let exit = count(times, "");
        assert_eq!((exit.reason, exit.fuel), (ExitReason::Exit, loops));
        let trap = count(times, "unreachable");
        assert_eq!((trap.reason, trap.fuel), (ExitReason::Trap, loops + 1));
        let access = count(times, "(drop (i32.load (i32.const -1)))");
        assert_eq!(access.reason, ExitReason::Trap);
        assert!(access.fuel <= loops + 3 && access.fuel + 10_000 > loops, "{}", access.fuel);
    }
}

/// Every limit from 1 to what a run takes ends it, with that fuel and a part
/// of its output.
#[test]
fn every_limit() {
    let more = "(func $f (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
        (call $print (i32.const 100) (local.get 0))
        (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))";
    let module = load(&program("(drop (call $f (i32.const 3)))", more));
    let whole = run_slice(&module, &spec(), 1000);
    assert_eq!(whole.reason, ExitReason::Exit);
    let output = whole.output.get("stdout").unwrap();
    for fuel in 1..whole.fuel {
        let part = run_slice(&module, &Spec { fuel, ..spec() }, 1 + fuel % 7);
        assert_eq!((part.reason, part.fuel), (ExitReason::OutOfFuel, fuel));
        assert!(output.starts_with(part.output.get("stdout").unwrap_or_default()));
    }
    assert_eq!(run_slice(&module, &Spec { fuel: whole.fuel, ..spec() }, 1), whole);
}

/// Running past the limit to another end is running out of fuel.
#[test]
fn ends_past_the_limit() {
    for end in ["unreachable", "(call $proc_exit (i32.const 1))", "return", "(call $deep)"] {
        let body = format!("nop nop nop {end}");
        let module = load(&program(&body, "(func $deep (call $deep))"));
        let outcome = run_slice(&module, &Spec { fuel: 2, ..spec() }, 1);
        assert_eq!((outcome.reason, outcome.fuel), (ExitReason::OutOfFuel, 2), "{end}");
    }
}
