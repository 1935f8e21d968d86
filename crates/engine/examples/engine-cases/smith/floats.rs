//! Random modules of arithmetic: values of every type, computed with from NaNs
//! and other edges, stored and returned. Random bytes made into code hardly
//! ever let the bits of a NaN through to where they are seen; these do.

use super::Random;
use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    I32,
    I64,
    F32,
    F64,
    V128,
}

use Type::{F32, F64, I32, I64, V128};

const TYPES: [Type; 5] = [I32, I64, F32, F64, V128];

impl Type {
    fn name(self) -> &'static str {
        match self {
            I32 => "i32",
            I64 => "i64",
            F32 => "f32",
            F64 => "f64",
            V128 => "v128",
        }
    }
}

/// Operations of some shapes, with the types of their operands and their result;
/// `#` comes before the number of a lane.
const GROUPS: &[(&str, &str, &[Type], Type)] = &[
    ("f32", "abs neg ceil floor trunc nearest sqrt", &[F32], F32),
    ("f64", "abs neg ceil floor trunc nearest sqrt", &[F64], F64),
    ("f32", "add sub mul div min max copysign", &[F32, F32], F32),
    ("f64", "add sub mul div min max copysign", &[F64, F64], F64),
    ("f32", "eq ne lt gt le ge", &[F32, F32], I32),
    ("f64", "eq ne lt gt le ge", &[F64, F64], I32),
    ("f32", "demote_f64", &[F64], F32),
    ("f64", "promote_f32", &[F32], F64),
    ("f32", "convert_i32_s convert_i32_u reinterpret_i32", &[I32], F32),
    ("f32", "convert_i64_s convert_i64_u", &[I64], F32),
    ("f64", "convert_i32_s convert_i32_u", &[I32], F64),
    ("f64", "convert_i64_s convert_i64_u reinterpret_i64", &[I64], F64),
    ("i32", "trunc_sat_f32_s trunc_sat_f32_u reinterpret_f32", &[F32], I32),
    ("i32", "trunc_sat_f64_s trunc_sat_f64_u", &[F64], I32),
    ("i64", "trunc_sat_f32_s trunc_sat_f32_u", &[F32], I64),
    ("i64", "trunc_sat_f64_s trunc_sat_f64_u reinterpret_f64", &[F64], I64),
    ("i32", "add mul and xor rotl shr_u", &[I32, I32], I32),
    ("i64", "add mul or xor rotr shl", &[I64, I64], I64),
    ("i32", "wrap_i64", &[I64], I32),
    ("i64", "extend_i32_s extend_i32_u", &[I32], I64),
    ("f32x4 f64x2", "abs neg ceil floor trunc nearest sqrt", &[V128], V128),
    ("f32x4 f64x2", "add sub mul div min max pmin pmax", &[V128, V128], V128),
    ("f32x4 f64x2", "eq ne lt gt le ge", &[V128, V128], V128),
    ("f32x4", "demote_f64x2_zero convert_i32x4_s convert_i32x4_u", &[V128], V128),
    ("f64x2", "promote_low_f32x4 convert_low_i32x4_s convert_low_i32x4_u", &[V128], V128),
    ("i32x4", "trunc_sat_f32x4_s trunc_sat_f32x4_u", &[V128], V128),
    ("i32x4", "trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero", &[V128], V128),
    ("i8x16 i16x8 i32x4 i64x2", "add sub", &[V128, V128], V128),
    ("v128", "and or xor andnot", &[V128, V128], V128),
    ("v128", "bitselect", &[V128, V128, V128], V128),
    ("f32x4", "splat", &[F32], V128),
    ("f64x2", "splat", &[F64], V128),
    ("f32x4", "extract_lane#0 extract_lane#3", &[V128], F32),
    ("f64x2", "extract_lane#1", &[V128], F64),
    ("f32x4", "replace_lane#2", &[V128, F32], V128),
    ("f64x2", "replace_lane#0", &[V128, F64], V128),
    ("i64x2", "extract_lane#0", &[V128], I64),
    ("i32x4", "extract_lane#1", &[V128], I32),
];

/// Constants of each type: NaNs of both signs, with other bits than the
/// canonical ones, infinities, zeros, the least and the largest.
fn constants(ty: Type) -> &'static [&'static str] {
    match ty {
        I32 => &["0", "1", "-1", "0x7fffffff", "0x80000000", "0x7fa00001", "0xffc12345"],
        I64 => &["0", "-1", "0x8000000000000000", "0x7ff4000000000001", "0xfff8123456789abc"],
        F32 => &[
            "0",
            "-0",
            "1.5",
            "-inf",
            "inf",
            "nan",
            "-nan",
            "nan:0x200001",
            "-nan:0x7fffff",
            "0x1p-149",
            "-0x1.fffffep127",
            "16777217",
        ],
        F64 => &[
            "0",
            "-0",
            "-1.5",
            "inf",
            "-inf",
            "nan",
            "-nan",
            "nan:0x4000000000001",
            "-nan:0xfffffffffffff",
            "0x1p-1074",
            "0x1.fffffffffffffp1023",
        ],
        V128 => &[
            "f32x4 nan -nan nan:0x200001 1",
            "f64x2 -nan:0x4000000000001 inf",
            "i32x4 0x7fc00000 0xffa00000 0x80000000 1",
            "i64x2 -1 0x7ff0000000000000",
        ],
    }
}

/// The locals of each type: parameter 0 to 4, then as many that are computed.
fn locals(ty: Type) -> [u32; 2] {
    let index = ty as u32;
    [index, 5 + index]
}

/// A module that computes each of its locals anew, some times over, and returns
/// them all.
pub(super) fn module(random: &mut Random) -> String {
    let names = |ty: Type| ty.name();
    let list = TYPES.map(names).join(" ");
    let mut body = String::new();
    for _ in 0..random.below(12) + 4 {
        let ty = TYPES[random.below(5)];
        let target = locals(ty)[random.below(2)];
        let _ = write!(body, "(local.set {target} {})", expression(random, ty, 5));
        if random.below(3) == 0 {
            let name = ty.name();
            let at = random.below(64) * 16;
            let _ = write!(body, "({name}.store (i32.const {at}) (local.get {target}))");
        }
    }
    let results: String = TYPES
        .iter()
        .flat_map(|ty| locals(*ty))
        .map(|local| format!("(local.get {local})"))
        .collect();
    let twice = TYPES.map(|ty| format!("{0} {0}", ty.name())).join(" ");
    let rounds = random.below(4) + 1;
    format!(
        r#"(module (memory (export "memory") 1)
            (func (export "compute") (param {list}) (result {twice})
                (local {list} i32)
                (loop $again {body}
                    (local.set 10 (i32.add (local.get 10) (i32.const 1)))
                    (br_if $again (i32.lt_u (local.get 10) (i32.const {rounds}))))
                {results}))"#
    )
}

/// Something that gives a value of this type, with so many operations inside
/// each other at most.
fn expression(random: &mut Random, ty: Type, depth: usize) -> String {
    if depth == 0 || random.below(6) == 0 {
        if random.below(3) == 0 {
            let constants = constants(ty);
            return format!("({}.const {})", ty.name(), constants[random.below(constants.len())]);
        }
        return format!("(local.get {})", locals(ty)[random.below(2)]);
    }
    let fitting: Vec<_> = GROUPS.iter().filter(|(_, _, _, result)| *result == ty).collect();
    let (shapes, names, operands, _) = fitting[random.below(fitting.len())];
    let mut pick = |list: &str| {
        let words: Vec<&str> = list.split(' ').collect();
        words[random.below(words.len())].to_owned()
    };
    let mut text = format!("({}.{}", pick(shapes), pick(names).replace('#', " "));
    for operand in *operands {
        let _ = write!(text, " {}", expression(random, *operand, depth - 1));
    }
    text.push(')');
    text
}
