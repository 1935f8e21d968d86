//! What each operator does with floats.

use super::graph::Lane;
use wasmparser::Operator;

/// What an operator does with floats.
pub(super) enum Act {
    /// Takes lanes of this shape from so many operands, and makes loose ones.
    Arithmetic(u32, Lane, Lane),
    /// Takes lanes of this shape from so many operands, and makes no float.
    Compare(u32, Lane),
    /// Makes numbers of another operand.
    Convert,
    Constant(bool),
    /// The result is a copy of one of so many operands.
    Copy(u32, Option<Lane>),
    /// Anything else.
    See,
}

fn is_number(constant: u128) -> bool {
    let f32s = (0..4).all(|lane| !f32::from_bits((constant >> (32 * lane)) as u32).is_nan());
    let f64s = (0..2).all(|lane| !f64::from_bits((constant >> (64 * lane)) as u64).is_nan());
    f32s && f64s
}

/// Whether the float that an operator makes is a vector; those that copy any
/// type apart.
pub(super) fn is_vector(operator: &Operator<'_>) -> bool {
    use Operator as O;
    !matches!(
        operator,
        O::F32Add
            | O::F32Sub
            | O::F32Mul
            | O::F32Div
            | O::F32Sqrt
            | O::F32Min
            | O::F32Max
            | O::F32Ceil
            | O::F32Floor
            | O::F32Trunc
            | O::F32Nearest
            | O::F32DemoteF64
            | O::F32Abs
            | O::F64Add
            | O::F64Sub
            | O::F64Mul
            | O::F64Div
            | O::F64Sqrt
            | O::F64Min
            | O::F64Max
            | O::F64Ceil
            | O::F64Floor
            | O::F64Trunc
            | O::F64Nearest
            | O::F64PromoteF32
            | O::F64Abs
            | O::F32x4ExtractLane { .. }
            | O::F64x2ExtractLane { .. }
            | O::Select
            | O::TypedSelect { .. }
    )
}

#[rustfmt::skip]
pub(super) fn act(operator: &Operator<'_>) -> Act {
    use Act::{Arithmetic, Compare, Constant, Convert, Copy, See};
    use Lane::{F32, F64};
    use Operator as O;
    match operator {
        O::F32Add | O::F32Sub | O::F32Mul | O::F32Div | O::F32Min | O::F32Max
        | O::F32x4Add | O::F32x4Sub | O::F32x4Mul | O::F32x4Div | O::F32x4Min | O::F32x4Max => {
            Arithmetic(2, F32, F32)
        }
        O::F64Add | O::F64Sub | O::F64Mul | O::F64Div | O::F64Min | O::F64Max
        | O::F64x2Add | O::F64x2Sub | O::F64x2Mul | O::F64x2Div | O::F64x2Min | O::F64x2Max => {
            Arithmetic(2, F64, F64)
        }
        O::F32Sqrt | O::F32Ceil | O::F32Floor | O::F32Trunc | O::F32Nearest
        | O::F32x4Sqrt | O::F32x4Ceil | O::F32x4Floor | O::F32x4Trunc | O::F32x4Nearest => {
            Arithmetic(1, F32, F32)
        }
        O::F64Sqrt | O::F64Ceil | O::F64Floor | O::F64Trunc | O::F64Nearest
        | O::F64x2Sqrt | O::F64x2Ceil | O::F64x2Floor | O::F64x2Trunc | O::F64x2Nearest => {
            Arithmetic(1, F64, F64)
        }
        O::F32DemoteF64 | O::F32x4DemoteF64x2Zero => Arithmetic(1, F64, F32),
        O::F64PromoteF32 | O::F64x2PromoteLowF32x4 => Arithmetic(1, F32, F64),
        O::F32Eq | O::F32Ne | O::F32Lt | O::F32Gt | O::F32Le | O::F32Ge
        | O::F32x4Eq | O::F32x4Ne | O::F32x4Lt | O::F32x4Gt | O::F32x4Le | O::F32x4Ge => {
            Compare(2, F32)
        }
        O::F64Eq | O::F64Ne | O::F64Lt | O::F64Gt | O::F64Le | O::F64Ge
        | O::F64x2Eq | O::F64x2Ne | O::F64x2Lt | O::F64x2Gt | O::F64x2Le | O::F64x2Ge => {
            Compare(2, F64)
        }
        O::I32TruncF32S | O::I32TruncF32U | O::I64TruncF32S | O::I64TruncF32U
        | O::I32TruncSatF32S | O::I32TruncSatF32U | O::I64TruncSatF32S | O::I64TruncSatF32U
        | O::I32x4TruncSatF32x4S | O::I32x4TruncSatF32x4U => Compare(1, F32),
        O::I32TruncF64S | O::I32TruncF64U | O::I64TruncF64S | O::I64TruncF64U
        | O::I32TruncSatF64S | O::I32TruncSatF64U | O::I64TruncSatF64S | O::I64TruncSatF64U
        | O::I32x4TruncSatF64x2SZero | O::I32x4TruncSatF64x2UZero => Compare(1, F64),
        // Not those of vectors: the lanes of another shape may be NaNs.
        O::F32ConvertI32S | O::F32ConvertI32U | O::F32ConvertI64S | O::F32ConvertI64U
        | O::F64ConvertI32S | O::F64ConvertI32U | O::F64ConvertI64S | O::F64ConvertI64U => Convert,
        O::F32Const { value } => Constant(!f32::from_bits(value.bits()).is_nan()),
        O::F64Const { value } => Constant(!f64::from_bits(value.bits()).is_nan()),
        O::V128Const { value } => Constant(is_number(value.i128().cast_unsigned())),
        O::Select | O::TypedSelect { .. } => Copy(2, None),
        // The sign of a NaN is cleared before as after it is replaced.
        O::F32Abs | O::F32x4Abs | O::F32x4Splat | O::F32x4ExtractLane { .. } => Copy(1, Some(F32)),
        O::F64Abs | O::F64x2Abs | O::F64x2Splat | O::F64x2ExtractLane { .. } => Copy(1, Some(F64)),
        O::F32x4PMin | O::F32x4PMax | O::F32x4ReplaceLane { .. } => Copy(2, Some(F32)),
        O::F64x2PMin | O::F64x2PMax | O::F64x2ReplaceLane { .. } => Copy(2, Some(F64)),
        _ => See,
    }
}
