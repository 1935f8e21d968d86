//! NaN bits: which values are to be made canonical, and where.
//!
//! Arithmetic leaves open which NaN it makes, so its results are *loose*:
//! before the bits of one can be seen, every NaN in it is replaced by the
//! canonical one (positive, quiet, no payload). Arithmetic and comparisons
//! don't see bits. What copies a value (locals, `select`, lanes, `pmin`,
//! `abs`) gives a loose copy of loose values. Everything else sees bits: stores,
//! calls, returns, operations on bits or on lanes of another shape, the ends
//! of blocks; and what else makes a float (loads, constants, parameters) makes
//! bits that stay as they are.
//!
//! Each value on the operand stack is used once, so the place to replace is
//! right after the operator that made it. A copy of loose values and others is
//! not loose, so loose ones are replaced before they are copied.

use wasmparser::{FuncType, FuncValidator, Operator, ValType, WasmModuleResources};

/// The lanes of a loose value: in another shape a NaN is something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    F32,
    F64,
}

/// A replacement: in the result of the operator of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replace {
    pub(super) after: u32,
    pub(super) lane: Lane,
    pub(super) vector: bool,
}

/// What a value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// No NaN, in lanes of any shape.
    Number,
    /// What arithmetic made.
    Loose(Lane),
    /// Bits that stay as they are.
    Bits,
}

impl Class {
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number, class) | (class, Self::Number) => class,
            (a, b) if a == b => a,
            _ => Self::Bits,
        }
    }

    /// As the lanes of a shape.
    fn seen_as(self, shape: Option<Lane>) -> Self {
        match (self, shape) {
            (Self::Loose(lane), Some(shape)) if lane != shape => Self::Bits,
            (class, _) => class,
        }
    }
}

/// A value on the operand stack.
#[derive(Debug, Clone, Copy)]
enum Value {
    Number,
    Bits,
    Node(u32),
}

/// The result of an operator, or a local.
#[derive(Debug)]
struct Node {
    /// The operator; none for a local.
    made: Option<u32>,
    class: Class,
    /// Lanes that it is a copy of, when only those are copied.
    shape: Option<Lane>,
    vector: bool,
    /// Its bits are seen; or its lanes, in these shapes.
    seen: bool,
    lanes: [bool; 2],
}

/// What an operator does with floats.
enum Act {
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

/// The analysis of one function.
#[derive(Debug, Default)]
pub(super) struct Nans {
    nodes: Vec<Node>,
    /// From a node to one that holds copies of it.
    copies: Vec<(u32, u32)>,
    /// Nodes of the locals that hold floats or vectors.
    locals: Vec<Option<u32>>,
    stack: Vec<Value>,
    /// Height of the stack below which code that can't be reached takes
    /// nothing.
    base: usize,
}

impl Nans {
    /// For a function whose locals the validator knows.
    pub(super) fn new<R: WasmModuleResources>(validator: &FuncValidator<R>, ty: &FuncType) -> Self {
        let mut nans = Self::default();
        for index in 0..validator.len_locals() {
            let class = match ty.params().get(index as usize) {
                Some(_) => Class::Bits,
                None => Class::Number,
            };
            let node = validator
                .get_local_type(index)
                .filter(|ty| matches!(ty, ValType::F32 | ValType::F64 | ValType::V128))
                .map(|ty| nans.node(None, class, None, ty == ValType::V128));
            nans.locals.push(node);
        }
        nans
    }

    fn node(&mut self, made: Option<u32>, class: Class, shape: Option<Lane>, vector: bool) -> u32 {
        let index = self.nodes.len() as u32;
        self.nodes.push(Node { made, class, shape, vector, seen: false, lanes: [false; 2] });
        index
    }

    fn pop(&mut self) -> Value {
        if self.stack.len() > self.base {
            return self.stack.pop().unwrap_or(Value::Bits);
        }
        Value::Bits
    }

    fn copy(&mut self, from: Value, to: u32) {
        let node = &mut self.nodes[to as usize];
        match from {
            Value::Number => {}
            Value::Bits => node.class = Class::Bits,
            Value::Node(from) => self.copies.push((from, to)),
        }
    }

    /// Before an operator: height of the stack where the innermost block
    /// begins.
    pub(super) fn base(&mut self, height: usize) {
        self.base = height;
    }

    /// Takes an operator, which takes and leaves as many values as `arity`
    /// says.
    pub(super) fn operator(&mut self, number: u32, operator: &Operator<'_>, arity: (u32, u32)) {
        let node = |local: &u32, nans: &Self| nans.locals.get(*local as usize).copied().flatten();
        match operator {
            Operator::LocalGet { local_index } => {
                let value = match node(local_index, self) {
                    Some(local) => self.copied(number, local),
                    None => Value::Bits,
                };
                self.stack.push(value);
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                let mut value = self.pop();
                if let Some(local) = node(local_index, self) {
                    self.copy(value, local);
                    value = Value::Bits;
                    if matches!(operator, Operator::LocalTee { .. }) {
                        value = self.copied(number, local);
                    }
                }
                if matches!(operator, Operator::LocalTee { .. }) {
                    self.stack.push(value);
                }
            }
            Operator::Drop => drop(self.pop()),
            _ => self.act(number, operator, arity),
        }
    }

    /// A copy of a local on the stack.
    fn copied(&mut self, number: u32, local: u32) -> Value {
        let vector = self.nodes[local as usize].vector;
        let copy = self.node(Some(number), Class::Number, None, vector);
        self.copies.push((local, copy));
        Value::Node(copy)
    }

    fn act(&mut self, number: u32, operator: &Operator<'_>, (takes, leaves): (u32, u32)) {
        let vector = is_vector(operator);
        match act(operator) {
            Act::Arithmetic(operands, from, to) => {
                self.take(operands, from);
                let made = self.node(Some(number), Class::Loose(to), None, vector);
                self.stack.push(Value::Node(made));
            }
            Act::Compare(operands, from) => {
                self.take(operands, from);
                self.stack.push(Value::Bits);
            }
            Act::Convert => {
                self.pop();
                self.stack.push(Value::Number);
            }
            Act::Constant(number) => {
                self.stack.push(if number { Value::Number } else { Value::Bits });
            }
            Act::Copy(operands, shape) => {
                // A select's condition, which is above, is no float.
                for _ in operands..takes {
                    self.pop();
                }
                let values: Vec<Value> = (0..operands).map(|_| self.pop()).collect();
                let vector = vector || (shape.is_none() && self.any_vector(&values));
                // Lanes without a NaN may look like one in another shape.
                let class = shape.filter(|_| vector).map_or(Class::Number, Class::Loose);
                let copy = self.node(Some(number), class, shape, vector);
                for value in values {
                    self.copy(value, copy);
                }
                self.stack.push(Value::Node(copy));
            }
            Act::See => {
                for _ in 0..takes {
                    if let Value::Node(node) = self.pop() {
                        self.nodes[node as usize].seen = true;
                    }
                }
                self.stack.extend((0..leaves).map(|_| Value::Bits));
            }
        }
    }

    fn any_vector(&self, values: &[Value]) -> bool {
        values
            .iter()
            .any(|value| matches!(value, Value::Node(node) if self.nodes[*node as usize].vector))
    }

    /// Takes operands as lanes of a shape.
    fn take(&mut self, operands: u32, lane: Lane) {
        for _ in 0..operands {
            if let Value::Node(node) = self.pop() {
                self.nodes[node as usize].lanes[lane as usize] = true;
            }
        }
    }

    /// After the validator took the operator: how many values there are now.
    pub(super) fn settle(&mut self, height: u32) {
        self.stack.resize(height as usize, Value::Bits);
    }

    /// The replacements, in order.
    pub(super) fn replacements(mut self) -> Vec<Replace> {
        // Classes spread from each node to its copies, until nothing changes:
        // each node's class rises twice at most.
        self.copies.sort_unstable();
        let mut changed: Vec<u32> = (0..self.nodes.len() as u32).collect();
        while let Some(from) = changed.pop() {
            let class = self.nodes[from as usize].class;
            for at in copies_of(&self.copies, from) {
                let to = self.copies[at].1;
                let node = &mut self.nodes[to as usize];
                let joined = node.class.join(class.seen_as(node.shape));
                if joined != node.class {
                    node.class = joined;
                    changed.push(to);
                }
            }
        }
        let mut found = Vec::new();
        for (index, node) in (0..).zip(&self.nodes) {
            let (Some(after), Class::Loose(lane)) = (node.made, node.class) else { continue };
            let other = if lane == Lane::F32 { Lane::F64 } else { Lane::F32 };
            let is_bits = |at: usize| self.nodes[self.copies[at].1 as usize].class == Class::Bits;
            if node.seen
                || node.lanes[other as usize]
                || copies_of(&self.copies, index).any(is_bits)
            {
                found.push(Replace { after, lane, vector: node.vector });
            }
        }
        found.sort_unstable_by_key(|replace| replace.after);
        found
    }
}

/// Where the copies of a node are in the sorted list.
fn copies_of(copies: &[(u32, u32)], from: u32) -> std::ops::Range<usize> {
    let start = copies.partition_point(|(node, _)| *node < from);
    let end = copies.partition_point(|(node, _)| *node <= from);
    start..end
}

fn is_number(constant: u128) -> bool {
    let f32s = (0..4).all(|lane| !f32::from_bits((constant >> (32 * lane)) as u32).is_nan());
    let f64s = (0..2).all(|lane| !f64::from_bits((constant >> (64 * lane)) as u64).is_nan());
    f32s && f64s
}

fn is_vector(operator: &Operator<'_>) -> bool {
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
fn act(operator: &Operator<'_>) -> Act {
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
