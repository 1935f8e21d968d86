//! The code that admission adds.

use super::limits;
use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

/// Indices of what admission adds to a module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Added {
    /// Functions that the module imported itself; those with a body come
    /// [`Added::IMPORTS`] later than in the source.
    pub(super) imported: u32,
    /// Imports `grid.refill`, `grid.grow`, `grid.stack_overflow` follow the
    /// module's own.
    pub(super) refill: u32,
    grow: u32,
    stack_overflow: u32,
    /// Functions that follow the module's own.
    slow: u32,
    pub(super) charge_bytes: u32,
    pub(super) charge_elements: u32,
    pub(super) grow_bounded: u32,
    /// Globals that follow the module's own.
    pub(super) fuel: u32,
    depth: u32,
}

/// One fuel moves or clears `1 << BYTES_SHIFT` bytes of memory.
const BYTES_SHIFT: i64 = 3;
/// One element of a table costs `1 << ELEMENTS_SHIFT` fuel.
const ELEMENTS_SHIFT: i64 = 3;

impl Added {
    /// How many imports are added.
    pub(super) const IMPORTS: u32 = 3;

    pub(super) fn new(imported: u32, defined: u32, globals: u32) -> Self {
        let first = imported + Self::IMPORTS + defined;
        Self {
            imported,
            refill: imported,
            grow: imported + 1,
            stack_overflow: imported + 2,
            slow: first,
            charge_bytes: first + 1,
            charge_elements: first + 2,
            grow_bounded: first + 3,
            fuel: globals,
            depth: globals + 1,
        }
    }

    /// Where a function of the source is in the admitted module.
    pub(super) fn function(&self, index: u32) -> u32 {
        if index < self.imported { index } else { index + Self::IMPORTS }
    }

    /// Charges a basic block, and calls for more fuel when the counter went
    /// below 0. `scratch` is the i64 local that admission adds: engines keep it
    /// in a register, while they load a global anew each time.
    pub(super) fn charge(&self, code: &mut InstructionSink<'_>, fuel: u64, scratch: u32) {
        code.global_get(self.fuel).i64_const(fuel.cast_signed()).i64_sub();
        self.settle(code, scratch);
    }

    /// Takes what is on the operand stack as the counter.
    fn settle(&self, code: &mut InstructionSink<'_>, scratch: u32) {
        code.local_tee(scratch).global_set(self.fuel);
        code.local_get(scratch).i64_const(0).i64_lt_s();
        code.if_(BlockType::Empty).call(self.slow).end();
    }

    /// Takes a frame from the stack, or ends the run.
    pub(super) fn enter(&self, code: &mut InstructionSink<'_>, frame: u32, scratch: u32) {
        code.global_get(self.depth).i64_const(frame.into()).i64_add();
        code.local_tee(scratch).global_set(self.depth);
        code.local_get(scratch).i64_const(limits::STACK.into()).i64_gt_s();
        code.if_(BlockType::Empty).call(self.stack_overflow).unreachable().end();
    }

    /// Gives a frame back.
    pub(super) fn leave(&self, code: &mut InstructionSink<'_>, frame: u32) {
        code.global_get(self.depth).i64_const(frame.into()).i64_sub();
        code.global_set(self.depth);
    }

    /// `slow`: () -> ()
    pub(super) fn slow_body(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.global_get(self.fuel).call(self.refill).global_set(self.fuel).end();
        function
    }

    /// `charge_bytes` and `charge_elements`: (i32) -> (i32), charges for a
    /// length and gives it back.
    fn charge_length(&self, scale: impl Fn(&mut InstructionSink<'_>)) -> Function {
        let mut function = Function::new([(1, ValType::I64)]);
        let mut code = function.instructions();
        code.global_get(self.fuel).local_get(0).i64_extend_i32_u();
        scale(&mut code);
        code.i64_sub();
        self.settle(&mut code, 1);
        code.local_get(0).end();
        function
    }

    pub(super) fn charge_bytes_body(&self) -> Function {
        self.charge_length(|code| {
            code.i64_const(BYTES_SHIFT).i64_shr_u();
        })
    }

    pub(super) fn charge_elements_body(&self) -> Function {
        self.charge_length(|code| {
            code.i64_const(ELEMENTS_SHIFT).i64_shl();
        })
    }

    /// `grow_bounded`: (i32) -> (i32), what `memory.grow` becomes. The maximum
    /// that the module declares holds before the host is asked.
    pub(super) fn grow_body(&self, declared_maximum: Option<u64>) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        if let Some(maximum) = declared_maximum {
            code.memory_size(0).i64_extend_i32_u().local_get(0).i64_extend_i32_u().i64_add();
            code.i64_const(maximum.cast_signed()).i64_gt_u();
            code.if_(BlockType::Result(ValType::I32)).i32_const(-1);
            code.else_().local_get(0).call(self.grow).end();
        } else {
            code.local_get(0).call(self.grow);
        }
        code.end();
        function
    }
}
