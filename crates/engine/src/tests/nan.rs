//! The bits of NaNs: those that arithmetic makes are canonical, all others stay.

use super::*;

/// Stores 16 bytes, and tells what they are.
#[track_caller]
fn check(store: &str, bytes: [u8; 16]) {
    let more = "(func $f32 (result f32) (f32.reinterpret_i32 (i32.const 0xffa00001)))
        (func $f64 (result f64) (f64.reinterpret_i64 (i64.const 0xfff4000000000001)))";
    let body = format!("(local f32 f64 v128) {store} (call $print (i32.const 200) (i32.const 16))");
    let outcome = run(&program(&body, more), &spec());
    assert_eq!(outcome.output.get("stdout"), Some(&bytes[..]), "{store}");
}

fn two(low: u64, high: u64) -> [u8; 16] {
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

const NAN_32: u64 = 0x7fc0_0000;
const NAN_64: u64 = 0x7ff8_0000_0000_0000;
const PAYLOAD_32: u64 = 0xffa0_0001;
const PAYLOAD_64: u64 = 0xfff4_0000_0000_0001;

#[test]
fn of_arithmetic() {
    let f32 = |value: &str| format!("(f32.store (i32.const 200) {value})");
    let f64 = |value: &str| format!("(f64.store (i32.const 200) {value})");
    for operation in ["add", "sub", "mul", "div", "min", "max"] {
        check(&f32(&format!("(f32.{operation} (call $f32) (call $f32))")), two(NAN_32, 0));
        check(&f64(&format!("(f64.{operation} (call $f64) (call $f64))")), two(NAN_64, 0));
    }
    for operation in ["sqrt", "ceil", "floor", "trunc", "nearest"] {
        check(&f32(&format!("(f32.{operation} (call $f32))")), two(NAN_32, 0));
        check(&f64(&format!("(f64.{operation} (call $f64))")), two(NAN_64, 0));
    }
    check(&f32("(f32.demote_f64 (call $f64))"), two(NAN_32, 0));
    check(&f64("(f64.promote_f32 (call $f32))"), two(NAN_64, 0));
    check(&f64("(f64.div (f64.const 0) (f64.const 0))"), two(NAN_64, 0));
    // Through locals, select and abs, which copy; then an operation on bits.
    let divided = "(local.set 1 (f64.div (f64.const 0) (f64.const 0)))";
    check(&format!("{divided} {}", f64("(f64.neg (local.get 1))")), two(NAN_64 | 1 << 63, 0));
    check(&format!("{divided} {}", f64("(f64.abs (local.get 1))")), two(NAN_64, 0));
    let select = "(select (local.get 1) (call $f64) (i32.const 1))";
    check(&format!("{divided} {}", f64(select)), two(NAN_64, 0));
    let bits =
        "(i64.store (i32.const 200) (i64.reinterpret_f64 (local.tee 1 (f64.sqrt (f64.const -1)))))";
    check(bits, two(NAN_64, 0));
}

#[test]
fn of_all_else() {
    let f32 = |value: &str| format!("(f32.store (i32.const 200) {value})");
    let f64 = |value: &str| format!("(f64.store (i32.const 200) {value})");
    check(&f32("(call $f32)"), two(PAYLOAD_32, 0));
    check(&f64("(call $f64)"), two(PAYLOAD_64, 0));
    check(&f64("(f64.neg (call $f64))"), two(PAYLOAD_64 & !(1 << 63), 0));
    check(&f64("(f64.abs (call $f64))"), two(PAYLOAD_64 & !(1 << 63), 0));
    check(&f32("(f32.copysign (f32.const nan:0x200001) (f32.const -1))"), two(PAYLOAD_32, 0));
    // A local that holds both.
    let both = "(local.set 1 (f64.add (call $f64) (f64.const 1))) (local.set 1 (call $f64))";
    check(&format!("{both} {}", f64("(local.get 1)")), two(PAYLOAD_64, 0));
    let select = "(select (f64.add (call $f64) (call $f64)) (call $f64) (i32.const 0))";
    check(&f64(select), two(PAYLOAD_64, 0));
    check(&f64("(block (result f64) (call $f64))"), two(PAYLOAD_64, 0));
}

#[test]
fn of_vectors() {
    let store = |value: &str| format!("(v128.store (i32.const 200) {value})");
    let splat = "(f64x2.splat (call $f64))";
    check(&store(splat), two(PAYLOAD_64, PAYLOAD_64));
    check(&store(&format!("(f64x2.add {splat} {splat})")), two(NAN_64, NAN_64));
    check(&store(&format!("(f64x2.pmin {splat} {splat})")), two(PAYLOAD_64, PAYLOAD_64));
    let half = two(NAN_32 << 32 | NAN_32, 0x3f80_0000 << 32 | NAN_32);
    let lanes = "(v128.const i32x4 0xffa00001 0xffa00001 0xffa00001 0x3f800000)";
    check(&store(&format!("(f32x4.mul {lanes} (f32x4.splat (f32.const 1)))")), half);
    // Seen in lanes of another shape.
    let sum = format!("(f32x4.add {lanes} {lanes})");
    check(
        &format!("(f64.store (i32.const 200) (f64x2.extract_lane 0 {sum}))"),
        two(NAN_32 << 32 | NAN_32, 0),
    );
    check(
        &format!(
            "(local.set 2 {sum}) (f32.store (i32.const 200) (f32x4.extract_lane 1 (local.get 2)))"
        ),
        two(NAN_32, 0),
    );
}
