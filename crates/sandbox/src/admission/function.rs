//! Rewrites one function.

use super::body::Body;
use super::code::Added;
use super::error::{AdmissionError, within};
use super::flow::Charge;
use super::limits;
use super::module::Indices;
use super::nan::{Lane, Replace};
use wasm_encoder::reencode::Reencode;
use wasm_encoder::{BlockType, Function, Instruction, InstructionSink, ValType};
use wasmparser::{FunctionBody, Operator};

type Result<T = ()> = std::result::Result<T, AdmissionError>;

/// Rewrites a body that [`super::body::read`] has read. The function has
/// `params` parameters, before the budget; `whole` is the type of a block that
/// leaves its results.
pub(super) fn rewrite(
    source: &FunctionBody<'_>,
    params: u32,
    body: &Body,
    whole: BlockType,
    indices: &mut Indices,
) -> Result<Function> {
    let mut writer = Writer::new(source, params, body, indices)?;
    if body.branches_out {
        writer.out.instruction(&Instruction::Block(whole));
    }
    let mut charges = body.charges.iter().peekable();
    let mut replacements = body.replacements.iter().peekable();
    let mut operators = source.get_operators_reader()?;
    for number in 0.. {
        if operators.eof() {
            break;
        }
        if let Some(charge) = charges.next_if(|charge| charge.at == number) {
            writer.charge(charge);
        }
        let head = charges.peek().is_some_and(|next| next.head && next.at == number + 1);
        writer.operator(operators.read()?, head, indices)?;
        if let Some(replace) = replacements.next_if(|replace| replace.after == number) {
            writer.replace(*replace);
        }
    }
    let size = writer.out.byte_len() as u64;
    within("bytes of a function's body after admission", size, limits::ADMITTED_BODY)?;
    Ok(writer.out)
}

/// The canonical NaNs.
const NAN_32: u32 = 0x7fc0_0000;
const NAN_64: u64 = 0x7ff8_0000_0000_0000;

/// What NaNs are replaced in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    F32,
    F64,
    V128,
}

impl Value {
    fn of(replace: Replace) -> Self {
        match (replace.vector, replace.lane) {
            (true, _) => Self::V128,
            (false, Lane::F32) => Self::F32,
            (false, Lane::F64) => Self::F64,
        }
    }

    fn ty(self) -> ValType {
        match self {
            Self::F32 => ValType::F32,
            Self::F64 => ValType::F64,
            Self::V128 => ValType::V128,
        }
    }
}

struct Writer<'a> {
    body: &'a Body,
    added: Added,
    out: Function,
    /// The budget's local; those after it have moved by one.
    budget: u32,
    /// An i32 local, where calls through tables need one.
    scratch: u32,
    /// Locals for NaNs, where they are needed.
    floats: [u32; 3],
    /// Bytes of stack that are given back at the end.
    frame: u64,
    open: Vec<Open>,
}

/// A block that is open.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    /// A loop inside one that is added.
    outer: bool,
    /// Blocks added around this one and those it is in.
    added: u32,
}

impl<'a> Writer<'a> {
    fn new(
        source: &FunctionBody<'_>,
        params: u32,
        body: &'a Body,
        indices: &mut Indices,
    ) -> Result<Self> {
        let mut locals = Vec::new();
        let mut scratch = params + 1;
        for local in source.get_locals_reader()? {
            let (count, ty) = local?;
            scratch += count;
            locals.push((count, indices.val_type(ty)?));
        }
        let mut next = scratch;
        let mut add = |ty, needed| {
            let index = next;
            if needed {
                locals.push((1, ty));
                next += 1;
            }
            index
        };
        add(ValType::I32, body.calls_indirect);
        let floats = [Value::F32, Value::F64, Value::V128].map(|value| {
            let needs = |replace: &Replace| Value::of(*replace) == value;
            add(value.ty(), body.replacements.iter().any(needs))
        });
        // One leaf at a time is on the stack, so small ones are free.
        let framed = body.calls || body.frame > limits::LEAF_FRAME;
        Ok(Self {
            body,
            added: indices.0,
            out: Function::new(locals),
            budget: params,
            scratch,
            floats,
            frame: if framed { body.frame.min(limits::LARGEST_FRAME) } else { 0 },
            open: vec![Open::default()],
        })
    }

    fn code(&mut self) -> InstructionSink<'_> {
        self.out.instructions()
    }

    /// Charges a region.
    fn charge(&mut self, charge: &Charge) {
        let (added, budget, frame) = (self.added, self.budget, self.frame);
        let first = charge.at == 0;
        let stack = if first { frame } else { 0 };
        let mut code = self.out.instructions();
        if first {
            Added::take(&mut code, budget, charge.fuel, stack);
            if stack > 0 {
                Added::is_either_used_up(&mut code, budget);
                added.call_more(&mut code, budget);
            } else if !self.body.is_short() {
                Added::is_used_up(&mut code, budget);
                added.call_more(&mut code, budget);
            }
            return;
        }
        if charge.head {
            Added::is_used_up(&mut code, budget);
            if self.open.last().is_some_and(|open| open.outer) {
                code.br_if(1);
            } else {
                added.call_more(&mut code, budget);
            }
        }
        if charge.fuel > 0 {
            Added::take(&mut code, budget, charge.fuel, 0);
        }
    }

    /// Where a local of the source is.
    fn local(&self, index: u32) -> u32 {
        if index < self.budget { index } else { index + 1 }
    }

    /// Writes an operator. A loop's `head` charges.
    fn operator(&mut self, operator: Operator<'_>, head: bool, indices: &mut Indices) -> Result {
        let (added, budget, scratch) = (self.added, self.budget, self.scratch);
        let instruction = match operator {
            Operator::LocalGet { local_index } => Instruction::LocalGet(self.local(local_index)),
            Operator::LocalSet { local_index } => Instruction::LocalSet(self.local(local_index)),
            Operator::LocalTee { local_index } => Instruction::LocalTee(self.local(local_index)),
            Operator::Call { function_index } => {
                let function = added.function(function_index);
                self.code().local_get(budget).call(function);
                Instruction::LocalSet(budget)
            }
            Operator::CallIndirect { type_index, table_index } => {
                let ty = added.types + type_index;
                self.code().local_set(scratch).local_get(budget).local_get(scratch);
                self.code().call_indirect(table_index, ty);
                Instruction::LocalSet(budget)
            }
            Operator::MemoryGrow { .. } => {
                self.code().local_get(budget).call(added.grow_memory());
                Instruction::LocalSet(budget)
            }
            Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. } => {
                self.code().local_get(budget).call(added.charge_bytes()).local_set(budget);
                indices.instruction(operator)?
            }
            Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. }
            | Operator::TableGrow { .. } => {
                self.code().local_get(budget).call(added.charge_elements()).local_set(budget);
                indices.instruction(operator)?
            }
            Operator::Unreachable => {
                self.code().local_get(budget).call(added.settle()).drop();
                Instruction::Unreachable
            }
            Operator::Block { .. } | Operator::If { .. } => {
                self.enter(false);
                indices.instruction(operator)?
            }
            Operator::Loop { blockty } => {
                let ty = indices.block_type(blockty)?;
                self.enter_loop(ty, head)
            }
            Operator::End => {
                let closed = self.open.pop().unwrap_or_default();
                if self.open.is_empty() {
                    self.leave();
                    return Ok(());
                }
                if closed.outer {
                    self.code().end();
                }
                Instruction::End
            }
            Operator::Return => Instruction::Br(self.label(self.open.len() as u32 - 1)),
            Operator::Br { relative_depth } => Instruction::Br(self.label(relative_depth)),
            Operator::BrIf { relative_depth } => Instruction::BrIf(self.label(relative_depth)),
            Operator::BrTable { targets } => {
                let default = self.label(targets.default());
                let targets = targets.targets().map(|to| to.map(|to| self.label(to)));
                Instruction::BrTable(targets.collect::<wasmparser::Result<_>>()?, default)
            }
            operator => indices.instruction(operator)?,
        };
        self.out.instruction(&instruction);
        Ok(())
    }

    /// Replaces NaNs in the value on the operand stack.
    fn replace(&mut self, replace: Replace) {
        let value = Value::of(replace);
        let local = self.floats[value as usize];
        let mut code = self.out.instructions();
        code.local_tee(local);
        match (value, replace.lane) {
            (Value::F32, _) => code.f32_const(f32::from_bits(NAN_32).into()),
            (Value::F64, _) => code.f64_const(f64::from_bits(NAN_64).into()),
            (Value::V128, Lane::F32) => code
                .v128_const((0x1_0000_0001_0000_0001_0000_0001 * u128::from(NAN_32)).cast_signed()),
            (Value::V128, Lane::F64) => {
                code.v128_const((0x1_0000_0000_0000_0001 * u128::from(NAN_64)).cast_signed())
            }
        };
        code.local_get(local).local_get(local);
        match (value, replace.lane) {
            (Value::F32, _) => code.f32_eq().select(),
            (Value::F64, _) => code.f64_eq().select(),
            (Value::V128, Lane::F32) => code.f32x4_eq().v128_bitselect(),
            (Value::V128, Lane::F64) => code.f64x2_eq().v128_bitselect(),
        };
    }

    fn enter(&mut self, outer: bool) {
        let added = self.open.last().map_or(0, |open| open.added) + u32::from(outer);
        self.open.push(Open { outer, added });
    }

    /// A loop whose head looks at the fuel lies in another one, whose head
    /// calls for more: so no call is inside the loop itself, and engines keep
    /// what it works on in registers.
    fn enter_loop(&mut self, ty: BlockType, head: bool) -> Instruction<'static> {
        let outer = head && !matches!(ty, BlockType::FunctionType(_));
        if outer {
            let (added, budget) = (self.added, self.budget);
            let mut code = self.out.instructions();
            code.loop_(ty);
            Added::is_used_up(&mut code, budget);
            added.call_more(&mut code, budget);
        }
        self.enter(outer);
        Instruction::Loop(ty)
    }

    /// A label of the source, with the blocks that are added in between.
    fn label(&self, depth: u32) -> u32 {
        let added = |open: Option<&Open>| open.map_or(0, |open| open.added);
        let to = self.open.len().checked_sub(1 + depth as usize);
        let between = added(self.open.last()) - added(to.and_then(|to| self.open.get(to)));
        depth + between
    }

    /// The function's end: gives the frame back, and the budget after the
    /// results.
    fn leave(&mut self) {
        let (budget, frame) = (self.budget, self.frame);
        if self.body.branches_out {
            self.code().end();
        }
        self.code().local_get(budget);
        if frame > 0 {
            self.code().i64_const(frame.cast_signed()).i64_add();
        }
        self.code().end();
    }
}
