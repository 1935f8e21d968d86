use super::*;
use proptest::prelude::*;
use wasmparser::Validator;

/// A module that is admitted; tests put `more` into it.
fn module(more: &str) -> String {
    format!(r#"(module {more} (memory (export "memory") 1) (func (export "_start")))"#)
}

fn parse(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Admits, and checks what holds of every admitted module.
fn admitted(source: &[u8]) -> Result<Admitted, AdmissionError> {
    let admitted = admit(source)?;
    let again = admit(source)?;
    assert_eq!(admitted, again, "the same source gives the same bytes");
    if let Err(error) = Validator::new_with_features(FEATURES).validate_all(&admitted.bytes) {
        panic!("the admitted module is not valid: {error}");
    }
    Ok(admitted)
}

/// The text is refused, and the message has all these parts.
#[track_caller]
fn check(text: &str, parts: &[&str]) {
    let error = admitted(&parse(text)).expect_err(text).to_string();
    for part in parts {
        assert!(error.contains(part), "{error:?} lacks {part:?}");
    }
}

#[test]
fn refuses_features() {
    let shared = r#"(module (memory (export "memory") 1 1 shared) (func (export "_start")))"#;
    check(shared, &["threads", "offset"]);
    check(&shared.replace("1 1 shared", "i64 1"), &["memory64", "offset"]);
    let check = |more: &str, part: &str| check(&module(more), &[part, "offset 0x"]);
    check("(func $a (drop (i32.atomic.load (i32.const 0))))", "threads");
    check(
        "(func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0))))",
        "relaxed",
    );
    check("(func $f return_call $f)", "tail call");
    check("(tag (param i32))", "exceptions");
    check("(type (struct))", "gc");
    check("(type $t (func)) (func (param (ref null $t)))", "function references");
    check("(func (param externref))", "requires gc");
    check("(memory 1)", "multiple memories");
    check("(table i64 1 funcref)", "64-bit");
    check("(global i32 (i32.add (i32.const 1) (i32.const 2)))", "constant");
    check(
        "(func (drop (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))) drop)",
        "wide",
    );
}

#[test]
fn names_the_function_and_the_offset() {
    let text = module(
        r#"(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
           (func $fine) (func $spawn_thread (drop (i32.atomic.load (i32.const 0))))"#,
    );
    check(&text, &["in function 2 (spawn_thread)", "at offset 0x", "threads"]);
}

#[test]
fn refuses_imports() {
    let import = |text: &str| module(&format!("(import {text})"));
    check(&import(r#""env" "f" (func)"#), &["`env.f`", "wasm32-wasip1"]);
    check(&import(r#""grid" "refill" (func (param i64) (result i64))"#), &["`grid.refill`"]);
    check(&import(r#""wasi_snapshot_preview1" "fd_frob" (func)"#), &["fd_frob"]);
    check(
        &import(r#""wasi_unstable" "fd_close" (func (param i32) (result i32))"#),
        &["wasi_unstable"],
    );
    check(&import(r#""wasi_snapshot_preview1" "fd_close" (func)"#), &["fd_close", "signature"]);
    check(&import(r#""wasi_snapshot_preview1" "fd_close" (global i32)"#), &["fd_close"]);
    check(&import(r#""env" "memory" (memory 1)"#), &["`env.memory`"]);
    check(&import(r#""env" "t" (table 1 funcref)"#), &["`env.t`"]);
    check(&import("\"e\\n\" \"x\\1b\" (func)"), &[r"`e\n.x\u{1b}`"]);
}

#[test]
fn refuses_what_is_no_command() {
    let memory = r#"(memory (export "memory") 1)"#;
    check("(module)", &["`_start`"]);
    check(&format!("(module {memory})"), &["`_start`"]);
    check(&format!(r#"(module {memory} (func (export "_start") (param i32)))"#), &["`_start`"]);
    check(
        &format!(r#"(module {memory} (global (export "_start") i32 (i32.const 0)))"#),
        &["`_start`"],
    );
    check(r#"(module (func (export "_start")))"#, &["`memory`"]);
    check(r#"(module (memory 1) (func (export "_start")))"#, &["`memory`"]);
    check(r#"(module (func (export "_start") (export "memory")))"#, &["`memory`"]);
    check(&module("(func $s) (start $s)"), &["start section"]);
    assert!(admit(b"").is_err());
    assert!(admit(b"\0asm\x0d\0\x01\0").unwrap_err().to_string().contains("omponent"));
}

#[test]
fn refuses_what_is_too_much() {
    let memory = r#"(module (memory (export "memory") 16385) (func (export "_start")))"#;
    check(memory, &["pages of memory", "16384"]);
    check(&module("(table 100001 funcref)"), &["elements of a table"]);
    check(&module(&"(table 1 funcref)".repeat(9)), &["tables"]);
    check(
        &module(&format!("(func (local {}))", "i64 ".repeat(10_001))),
        &["locals", "in function"],
    );
    check(&module(&format!("(func (param {}))", "i64 ".repeat(257))), &["parameters"]);
    check(
        &module(&format!("(func (br_table {} (i32.const 0)))", "0 ".repeat(10_002))),
        &["br_table"],
    );
    let deep = format!("(func {} {})", "block ".repeat(10_001), "end ".repeat(10_001));
    check(&module(&deep), &["blocks inside each other"]);
    check(&module(&"(global i32 (i32.const 0))".repeat(10_001)), &["globals"]);
    check(&module(&"(data \"\")".repeat(10_001)), &["data segments"]);
    let wide = format!("(func (local {}) {})", "i64 ".repeat(9000), "(loop nop)".repeat(8000));
    check(&module(&wide), &["locals times blocks"]);
    check(&module(&format!("(func {})", "nop ".repeat(2 << 20))), &["bytes of a function's body"]);
    let many = "i64 ".repeat(256);
    let calls = "call 0 ".repeat(70_000);
    check(
        &module(&format!("(func (param {many}) (result {many}) unreachable {calls})")),
        &["values passed"],
    );
    let too_large = vec![0; grid_protocol::limits::MAX_MODULE + 1];
    assert!(admit(&too_large).unwrap_err().to_string().contains("bytes of the module"));
    // A claim of a billion locals is refused before anything is listed.
    let mut claim = parse(&module("(func (local i32 i32 i32))"));
    let at = claim.windows(3).position(|bytes| bytes == [1, 3, 0x7f]).unwrap();
    let size = claim[at - 1];
    claim.splice(at - 1..at + 2, [size + 4, 1, 0xff, 0xff, 0xff, 0xff, 0x03]);
    assert!(admit(&claim).is_err());
}

#[test]
fn refuses_segments_outside() {
    check(&module(r#"(data (i32.const 65533) "1234")"#), &["data segment 0"]);
    check(&module(r#"(data "") (data (i32.const -1) "1234")"#), &["data segment 1"]);
    check(
        &module("(table 1 funcref) (func $f) (elem (i32.const 0) $f $f)"),
        &["element segment 0"],
    );
    admitted(&parse(&module(r#"(data (i32.const 65532) "1234")"#))).unwrap();
}

#[test]
fn admits() {
    for more in [
        "",
        "(func (result i32 i64) (i32.const 1) (i64.const 2) return)",
        "(func (result i32 i64) (i32.const 1) (i64.const 2)) (func (call 0) drop drop)",
        "(func (param v128) (result v128) (i32x4.add (local.get 0) (local.get 0)))",
        "(table $t 2 funcref) (func $f (drop (table.grow $t (ref.null func) (i32.const 1)))
            (table.fill $t (i32.const 0) (ref.func $f) (i32.const 1))
            (table.set $t (i32.const 0) (table.get $t (i32.const 0))))
         (elem declare func $f)",
        // Referred to because it is exported; the export goes.
        "(func $f (export \"f\") (drop (ref.func $f)))",
        "(global (export \"g\") (mut i32) (i32.const 0)) (func (global.set 0 (global.get 0)))",
        "(data $d \"abc\") (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $d))",
        "(func (param i32) (block (block (br_table 0 1 2 (local.get 0))) unreachable) return)",
        "(func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0)) (i32.extend8_s))",
        "(func unreachable (if (i32.const 1) (then (loop (br 0))) (else (block))) drop)",
        "(func (param i32) (result i32) (if (result i32) (local.get 0) (then (return (i32.const 1))) (else (call 0 (i32.const 1)))))",
    ] {
        let admitted = admitted(&parse(&module(more))).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(admitted.memory_pages, 1);
    }
}

/// Names of what an admitted module imports and exports.
#[test]
fn interface() {
    let text = module(
        r#"(import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
           (func (export "other")) (global (export "grid_fuel") i32 (i32.const 0))"#,
    );
    let bytes = admitted(&parse(&text)).unwrap().bytes;
    let mut seen = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            wasmparser::Payload::ImportSection(section) => {
                seen.extend(section.into_imports().map(|i| i.unwrap().name.to_owned()));
            }
            wasmparser::Payload::ExportSection(section) => {
                seen.extend(section.into_iter().map(|e| e.unwrap().name.to_owned()));
            }
            wasmparser::Payload::CustomSection(_) => panic!("custom sections are dropped"),
            _ => {}
        }
    }
    assert_eq!(
        seen,
        ["fd_close", "refill", "grow", "stack_overflow", "memory", "_start", "grid_fuel"]
    );
}

/// The bytes of version 2: what is admitted under this number never changes.
#[test]
fn golden() {
    let text = module(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
           (func $f (param i32) (result i32) (local i64 v128)
             (loop (br_if 0 (i32.eqz (local.get 0)))
               (memory.copy (i32.const 0) (i32.const 8) (i32.const 9))
               (drop (memory.grow (i32.const 1))))
             (if (local.get 0) (then (return (i32.const 4))))
             (call $w (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))"#,
    );
    let digest = grid_protocol::Digest::of(&admitted(&parse(&text)).unwrap().bytes);
    assert_eq!(
        digest.to_string(),
        "6ba05bc54a02e223be0c9a7832a1521b8f70fc3b289395e7eda9af2830703688"
    );
}

/// A source with something of everything, to mutate.
fn rich() -> Vec<u8> {
    parse(&module(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
           (table 3 funcref) (elem (i32.const 0) $f $g) (global $n (mut i64) (i64.const 3))
           (data (i32.const 8) "abc") (data $d "passive")
           (func $f (param i32) (result i32) (local i64 v128 f32)
             (loop (br_if 0 (i32.eqz (local.get 0)))
               (memory.copy (i32.const 0) (i32.const 8) (i32.const 9))
               (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3))
               (drop (memory.grow (i32.const 1))))
             (if (local.get 0) (then (return (i32.const 4))))
             (block (block (br_table 0 1 1 (local.get 0))))
             (call $w (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
           (func $g (param i64 f64) (result i32 i64)
             (global.set $n (local.get 0))
             (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 0))
             (local.get 0) return)"#,
    ))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(admitted(&bytes).is_err());
        let module = [b"\0asm\x01\0\0\0".as_slice(), &bytes].concat();
        let _ = admitted(&module);
    }

    #[test]
    fn mutated_modules(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = rich();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = admitted(&bytes);
    }
}
