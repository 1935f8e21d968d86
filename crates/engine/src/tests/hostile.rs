//! Modules that mean no good end with the right reason, and what they wrote
//! before is kept.

use super::*;

fn check(body: &str, more: &str, reason: ExitReason) -> Outcome {
    let outcome = run(&program(&format!("{HELLO} {body}"), more), &spec());
    assert_eq!(outcome.reason, reason, "{body} {more}: {:?}", outcome.hint);
    assert!(outcome.output.get("stdout").unwrap().starts_with(b"hello\n"));
    assert!(outcome.output.size() <= spec().output_bytes);
    outcome
}

#[test]
fn endless_loop() {
    let outcome = check("(loop (br 0))", "", ExitReason::OutOfFuel);
    assert_eq!(outcome.fuel, spec().fuel);
    check("(loop (block (br_if 1 (i32.const 1)) (unreachable)))", "", ExitReason::OutOfFuel);
    check("(loop (br_table 0 0 (i32.const 1)))", "", ExitReason::OutOfFuel);
}

#[test]
fn memory_without_end() {
    let grow = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))";
    let report = "(i32.store8 (i32.const 100) (memory.size))
        (call $print (i32.const 100) (i32.const 1))";
    let outcome = check(&format!("{grow} {report}"), "", ExitReason::Exit);
    assert_eq!(outcome.output.get("stdout"), Some(&b"hello\n\x40"[..]), "64 pages");
    let again = check(&format!("{grow} {report}"), "", ExitReason::Exit);
    assert_eq!(outcome, again);
    check("(loop (drop (memory.grow (i32.const 1))) (br 0))", "", ExitReason::OutOfFuel);
    let huge = "(drop (memory.grow (i32.const -1)))";
    check(huge, "", ExitReason::Exit);
}

#[test]
fn a_declared_maximum_holds() {
    let text = program(
        "(i32.store8 (i32.const 100) (i32.eq (memory.grow (i32.const 2)) (i32.const -1)))
         (drop (memory.grow (i32.const 1)))
         (i32.store8 (i32.const 101) (memory.size))
         (call $print (i32.const 100) (i32.const 2))",
        "",
    );
    let outcome = run(&text.replace(r#"(export "memory") 2"#, r#"(export "memory") 2 3"#), &spec());
    assert_eq!(outcome.output.get("stdout"), Some(&b"\x01\x03"[..]));
}

#[test]
fn more_memory_at_start_than_the_spec_allows() {
    let outcome = run(&program(HELLO, ""), &Spec { memory_pages: 1, ..spec() });
    assert_eq!((outcome.reason, outcome.fuel), (ExitReason::Trap, 0));
    assert!(outcome.output.is_empty());
    assert!(outcome.hint.unwrap().contains("memory"));
}

#[test]
fn deep_recursion() {
    let many_locals = "i64 ".repeat(5000);
    let operands = "(i64.const 1) ".repeat(3000);
    let adds = "(i64.add) ".repeat(3000);
    let vectors = "v128 ".repeat(500);
    let params = "i64 ".repeat(200);
    let values = "(local.get 0) ".repeat(200);
    for more in [
        "(func $f (local i32) (call $f))",
        "(func $f (result i32) (i32.add (call $f) (i32.const 1)))",
        &format!("(func $f (local {many_locals}) (call $f) (drop (local.get 7)))"),
        &format!("(func $f {operands} (call $f) (i64.const 1) {adds} (drop))"),
        &format!("(func $f (local {vectors}) (call $f))"),
        &format!(
            "(func $g (param {params}) (call $g {values}))
                  (func $f (local i64) (call $g {values}))"
        ),
        "(table 1 funcref) (elem (i32.const 0) $f) (type $t (func))
         (func $f (call_indirect (type $t) (i32.const 0)))",
        // Through a table that holds an import too.
        "(table 2 funcref) (elem (i32.const 0) $proc_exit $f) (type $t (func))
         (type $u (func (param i32)))
         (func $f (call_indirect (type $t) (i32.const 1))
            (call_indirect (type $u) (i32.const 3) (i32.const 0)))",
        "(func $f (call $g)) (func $g (local i64 i64) (call $h)) (func $h (call $f))",
    ] {
        let call = if more.contains("$f (result") { "(drop (call $f))" } else { "(call $f)" };
        check(call, more, ExitReason::Stack);
    }
}

/// What returns gives its frames back.
#[test]
fn shallow_recursion() {
    let more = "(func $f (param i32) (result i32) (local i64 i64 i64)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
        (if (i32.eq (local.get 0) (i32.const 3)) (then (br 1 (i32.const 5))))
        (block (result i32) (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
        (br_if 0 (i32.const 1)) (drop) (i32.const 9))
        (func $two (param i32) (result i32 i64)
        (if (local.get 0) (then (return (i32.const 2) (i64.const 2))))
        (drop (call $f (i32.const 2))) (i32.const 1) (i64.const 1))";
    let body = "(local i32) (loop
        (drop (call $f (i32.const 20)))
        (call $two (i32.const 0)) (drop) (drop)
        (call $two (i32.const 1)) (drop) (drop)
        (local.set 0 (i32.add (local.get 0) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.get 0) (i32.const 10000))))";
    let text = program(&format!("{body} {HELLO}"), more);
    assert_eq!(run(&text, &spec()).reason, ExitReason::Exit);
}

#[test]
fn output_flood() {
    let outcome = check(
        "(loop (call $print (i32.const 100) (i32.const 1000)) (br 0))",
        "",
        ExitReason::OutputLimit,
    );
    // `stdout` and its bytes: the write past the limit is not applied.
    assert_eq!(outcome.output.size(), 6 + 6 + 65 * 1000);
    let outcome =
        check("(call $print (i32.const 0) (i32.const 131072))", "", ExitReason::OutputLimit);
    assert_eq!(outcome.output.get("stdout"), Some(&b"hello\n"[..]));
}

#[test]
fn traps() {
    let outcome = check("unreachable", "", ExitReason::Trap);
    assert_eq!(outcome.hint.as_deref(), Some("unreachable instruction"));
    check("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "", ExitReason::Trap);
    check("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", "", ExitReason::Trap);
    check("(drop (i32.trunc_f32_s (f32.const nan)))", "", ExitReason::Trap);
    check("(drop (i32.load (i32.const -1)))", "", ExitReason::Trap);
    check("(memory.fill (i32.const 0) (i32.const 0) (i32.const 131073))", "", ExitReason::Trap);
    let table = "(table 2 funcref) (type $t (func (param i32))) (elem (i32.const 0) $print)";
    check("(call_indirect (type $t) (i32.const 1) (i32.const 0))", table, ExitReason::Trap);
    check("(call_indirect (type $t) (i32.const 1) (i32.const 1))", table, ExitReason::Trap);
    check("(call_indirect (type $t) (i32.const 1) (i32.const 2))", table, ExitReason::Trap);
    let exits = "(table 1 funcref) (type $t (func (param i32))) (elem (i32.const 0) $proc_exit)";
    let outcome = check(
        "(call_indirect (type $t) (i32.const 7) (i32.const 0)) unreachable",
        exits,
        ExitReason::Exit,
    );
    assert_eq!(outcome.exit_code, 7);
}

#[test]
fn exit_codes() {
    let outcome = check("(call $proc_exit (i32.const 7)) unreachable", "", ExitReason::Exit);
    assert_eq!(outcome.exit_code, 7);
}

/// A run sees nothing of the one before.
#[test]
fn nothing_leaks() {
    let module = load(&program(
        "(local i32) (call $print (i32.const 60000) (i32.const 4))
         (i32.store (i32.const 60000) (i32.const 0x64636261))
         (global.set $g (i32.add (global.get $g) (i32.const 1)))
         (i32.store8 (i32.const 100) (global.get $g))
         (call $print (i32.const 100) (i32.const 1))
         (drop (memory.grow (i32.const 5)))",
        "(global $g (mut i32) (i32.const 0))",
    ));
    let first = run_slice(&module, &spec(), 1000);
    assert_eq!(first.output.get("stdout"), Some(&b"\0\0\0\0\x01"[..]));
    assert_eq!(run_slice(&module, &spec(), 1000), first);
}
