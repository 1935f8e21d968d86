//! The code that admission adds.
//!
//! A *budget* is an i64 that code keeps in a local, gives to each function as
//! its last parameter and gets back as its last result. Its lower
//! [`STACK_BITS`] are the bytes of stack left; the rest is the fuel that code
//! may use before it settles with the global `grid_fuel`, [`QUANTUM`] at first.
//! Both are signed, so that one subtraction takes from both.

use super::limits;
use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

/// Indices of what admission adds to a module, which holds, in this order:
/// the functions that the source imports; imports `grid.refill`, `grid.grow`,
/// `grid.stack_overflow`; for each function of the source, the imported ones
/// included, one that takes and returns a budget; the functions named below;
/// functions to be called from outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Added {
    /// What is added to an index of a function of the source.
    shift: u32,
    /// The first import that is added.
    imports: u32,
    /// The first function after those of the source.
    helpers: u32,
    /// The global `grid_fuel`, which follows those of the source.
    pub(super) fuel: u32,
    /// What is added to a type of the source, to get the same with a budget.
    pub(super) types: u32,
}

/// Bits of the stack. It is below 2^18, and so is what one call takes of it.
const STACK_BITS: u32 = 20;
/// The bit that is set when the stack is used up.
const STACK_FLAG: u32 = STACK_BITS - 1;
/// Fuel used between two settlements: what a trap may leave uncounted.
const QUANTUM: i64 = 10_000;

/// One fuel moves or clears `1 << BYTES_SHIFT` bytes of memory.
const BYTES_SHIFT: u32 = 3;
/// One element of a table costs `1 << ELEMENTS_SHIFT` fuel.
const ELEMENTS_SHIFT: u32 = 3;

impl Added {
    /// How many imports are added.
    const IMPORTS: u32 = 3;
    /// How many functions follow those of the source.
    const HELPERS: u32 = 5;

    /// For a source with so many imported functions, functions, globals and
    /// types.
    pub(super) fn new(imported: u32, functions: u32, globals: u32, types: u32) -> Self {
        let shift = imported + Self::IMPORTS;
        Self { shift, imports: imported, helpers: shift + functions, fuel: globals, types }
    }

    /// The function that stands for one of the source.
    pub(super) fn function(&self, index: u32) -> u32 {
        self.shift + index
    }

    fn refill(&self) -> u32 {
        self.imports
    }

    fn grow(&self) -> u32 {
        self.imports + 1
    }

    fn stack_overflow(&self) -> u32 {
        self.imports + 2
    }

    /// (budget) -> (budget): settles.
    pub(super) fn settle(&self) -> u32 {
        self.helpers + 4
    }

    /// (budget) -> (budget): settles, and asks the host for fuel if there is
    /// none; ends the run when the stack is used up.
    fn more(&self) -> u32 {
        self.helpers
    }

    /// (length, budget) -> (length, budget): charges for bytes.
    pub(super) fn charge_bytes(&self) -> u32 {
        self.helpers + 1
    }

    /// The same for elements of a table.
    pub(super) fn charge_elements(&self) -> u32 {
        self.helpers + 2
    }

    /// (pages, budget) -> (pages before, budget): what `memory.grow` becomes.
    pub(super) fn grow_memory(&self) -> u32 {
        self.helpers + 3
    }

    /// The first function after all these.
    pub(super) fn end(&self) -> u32 {
        self.helpers + Self::HELPERS
    }

    /// Takes fuel and bytes of stack from the budget in a local.
    pub(super) fn take(code: &mut InstructionSink<'_>, local: u32, fuel: u64, stack: u64) {
        let amount = (fuel << STACK_BITS) + stack;
        code.local_get(local).i64_const(amount.cast_signed()).i64_sub().local_set(local);
    }

    /// Whether the quantum is used up.
    pub(super) fn is_used_up(code: &mut InstructionSink<'_>, local: u32) {
        code.local_get(local).i64_const(0).i64_lt_s();
    }

    /// Whether the quantum or the stack is used up.
    pub(super) fn is_either_used_up(code: &mut InstructionSink<'_>, local: u32) {
        // The stack's flag, moved to the sign's place.
        let shift = i64::from(63 - STACK_FLAG);
        code.local_get(local).local_get(local).i64_const(shift).i64_shl().i64_or();
        code.i64_const(0).i64_lt_s();
    }

    /// Calls for more on the condition that is on the operand stack.
    pub(super) fn call_more(&self, code: &mut InstructionSink<'_>, local: u32) {
        code.if_(BlockType::Empty).local_get(local).call(self.more()).local_set(local).end();
    }

    /// Leaves `grid_fuel` with what was used of the budget in a local taken.
    fn settled(&self, code: &mut InstructionSink<'_>, local: u32) {
        code.local_get(local).i64_const(STACK_BITS.into()).i64_shr_s();
        code.global_get(self.fuel).i64_add().i64_const(QUANTUM).i64_sub();
    }

    /// The budget in a local, with a whole quantum.
    fn renewed(code: &mut InstructionSink<'_>, local: u32) {
        code.local_get(local).i64_const((1 << STACK_BITS) - 1).i64_and();
        code.i64_const(QUANTUM << STACK_BITS).i64_or();
    }

    /// Calls an imported function, the host's, with these parameters.
    pub(super) fn import_body(&self, import: u32, params: u32) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.settled(&mut code, params);
        code.global_set(self.fuel);
        for param in 0..params {
            code.local_get(param);
        }
        code.call(import);
        Self::renewed(&mut code, params);
        code.end();
        function
    }

    /// What is called from outside: the same as `function` of the source, with
    /// a budget of its own.
    pub(super) fn export_body(&self, function: u32, params: u32) -> Function {
        let mut body = Function::new([(1, ValType::I64)]);
        let mut code = body.instructions();
        for param in 0..params {
            code.local_get(param);
        }
        code.i64_const(QUANTUM << STACK_BITS | i64::from(limits::STACK));
        code.call(self.function(function)).local_set(params);
        self.settled(&mut code, params);
        code.global_set(self.fuel).end();
        body
    }

    /// [`Added::settle`]
    pub(super) fn settle_body(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.settled(&mut code, 0);
        code.global_set(self.fuel);
        Self::renewed(&mut code, 0);
        code.end();
        function
    }

    /// [`Added::more`]
    pub(super) fn more_body(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.local_get(0).i64_const(1 << STACK_FLAG).i64_and().i64_const(0).i64_ne();
        code.if_(BlockType::Empty);
        // The stack below 0 has borrowed one from the fuel.
        code.local_get(0).i64_const(1 << STACK_BITS).i64_add().call(self.settle()).drop();
        code.call(self.stack_overflow()).unreachable().end();
        code.local_get(0).call(self.settle()).local_set(0);
        code.global_get(self.fuel).i64_const(0).i64_lt_s().if_(BlockType::Empty);
        code.global_get(self.fuel).call(self.refill()).global_set(self.fuel).end();
        code.local_get(0).end();
        function
    }

    fn charge_length(&self, scale: impl Fn(&mut InstructionSink<'_>)) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.local_get(1).local_get(0).i64_extend_i32_u();
        scale(&mut code);
        code.i64_const(STACK_BITS.into()).i64_shl().i64_sub().local_set(1);
        Self::is_used_up(&mut code, 1);
        self.call_more(&mut code, 1);
        code.local_get(0).local_get(1).end();
        function
    }

    /// [`Added::charge_bytes`]
    pub(super) fn charge_bytes_body(&self) -> Function {
        self.charge_length(|code| {
            code.i64_const(BYTES_SHIFT.into()).i64_shr_u();
        })
    }

    /// [`Added::charge_elements`]
    pub(super) fn charge_elements_body(&self) -> Function {
        self.charge_length(|code| {
            code.i64_const(ELEMENTS_SHIFT.into()).i64_shl();
        })
    }

    /// [`Added::grow_memory`]
    pub(super) fn grow_body(&self, growth: Growth) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.settled(&mut code, 1);
        code.global_set(self.fuel);
        // A growth that never asks the host must end out of fuel all the same.
        code.global_get(self.fuel).i64_const(0).i64_lt_s().if_(BlockType::Empty);
        code.global_get(self.fuel).call(self.refill()).global_set(self.fuel).end();
        match growth {
            Growth::Host { maximum: Some(maximum) } => {
                code.memory_size(0).i64_extend_i32_u().local_get(0).i64_extend_i32_u().i64_add();
                code.i64_const(maximum.cast_signed()).i64_gt_u();
                code.if_(BlockType::Result(ValType::I32)).i32_const(-1);
                code.else_().local_get(0).call(self.grow()).end();
            }
            Growth::Host { maximum: None } => {
                code.local_get(0).call(self.grow());
            }
            Growth::Engine => {
                code.local_get(0).memory_grow(0);
            }
            Growth::None => {
                code.unreachable();
            }
        }
        Self::renewed(&mut code, 1);
        code.end();
        function
    }
}

/// Who makes a memory larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// The host, after the maximum that the module declares was checked.
    Host {
        /// That maximum in pages.
        maximum: Option<u64>,
    },
    /// The engine by itself.
    Engine,
    /// There is no memory.
    None,
}
