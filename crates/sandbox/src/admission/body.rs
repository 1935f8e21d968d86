//! Looks at one function: validates it, finds its basic blocks with what they
//! cost, and the size of its frame.

use super::error::{AdmissionError, within};
use super::limits;
use wasmparser::{
    BlockType, FuncType, FuncValidator, FunctionBody, Operator, OperatorsReader, ValType,
    ValidatorResources, WasmModuleResources,
};

/// What is known of a function's body.
#[derive(Debug)]
pub(super) struct Body {
    /// Number of the operator before which to charge, and the fuel: one pair
    /// for each basic block that costs anything, in order.
    pub(super) charges: Vec<(u32, u64)>,
    /// Bytes to charge against [`limits::STACK`] while it runs.
    pub(super) frame: u64,
    /// Whether it calls any function.
    pub(super) calls: bool,
    /// Whether it takes a reference to a function.
    pub(super) takes_references: bool,
    /// Parameters and results of its calls and blocks together.
    pub(super) passed: u64,
    /// Its locals times its basic blocks.
    pub(super) product: u64,
}

/// Reads and validates a body. `wide` tells that a type of the module has
/// several results or parameters, a vector among them.
pub(super) fn read(
    validator: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
    ty: &FuncType,
    mut wide: bool,
) -> Result<Body, AdmissionError> {
    within("bytes of a function's body", body.as_bytes().len() as u64, limits::BODY)?;
    let mut reader = body.get_binary_reader();
    reader.set_features(*validator.features());
    // Locals are claimed by number: bound them before the validator lists them.
    let mut declared = 0;
    for local in body.get_locals_reader()? {
        declared += u64::from(local?.0);
    }
    let params = ty.params().len() as u64;
    within("locals of a function", params + declared, limits::LOCALS)?;
    validator.read_locals(&mut reader)?;

    let mut blocks = Blocks::new(declared);
    let mut height = 0;
    let (mut calls, mut takes_references) = (false, false);
    let mut passed = 0;
    let mut operators = OperatorsReader::new(reader);
    let mut number = 0;
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset()?;
        if let Operator::BrTable { targets } = &operator {
            let targets = u64::from(targets.len());
            within("targets of a br_table", targets, limits::BR_TABLE)
                .map_err(|reason| AdmissionError::from(reason).at(offset))?;
        }
        validator.op(offset, &operator)?;
        height = height.max(u64::from(validator.operand_stack_height()));
        wide |= validator.get_operand_type(0) == Some(Some(ValType::V128));
        calls |= matches!(operator, Operator::Call { .. } | Operator::CallIndirect { .. });
        passed += values_passed(validator.resources(), &operator);
        takes_references |= matches!(operator, Operator::RefFunc { .. });
        blocks.operator(number, &operator)?;
        within("blocks inside each other", blocks.open.len() as u64, limits::NESTING)
            .map_err(|reason| AdmissionError::from(reason).at(offset))?;
        number += 1;
    }
    operators.finish()?;

    let slots = |types: &[ValType]| types.iter().map(slot).sum::<u64>();
    let locals: u64 = (params as u32..validator.len_locals())
        .filter_map(|index| validator.get_local_type(index))
        .map(|ty| slot(&ty))
        .sum();
    let operands = height * if wide { 16 } else { 8 };
    // Parameters count twice: as the caller passes them and as the function
    // keeps them; so do results, which are operands as well. Admission adds
    // one local.
    let frame = limits::FRAME
        + slot(&ValType::I64)
        + 2 * slots(ty.params())
        + slots(ty.results())
        + locals
        + operands;
    let charges = blocks.charges();
    let product = (params + declared + height) * charges.len() as u64;
    within("locals times blocks of a function", product, limits::LOCALS_BY_BLOCKS)?;
    Ok(Body { charges, frame, calls, takes_references, passed, product })
}

/// Parameters and results of a call, or of a block with a type of its own.
fn values_passed(module: &ValidatorResources, operator: &Operator<'_>) -> u64 {
    let count = |index: u32| {
        let ty = module.sub_type_at(index).map(|ty| ty.unwrap_func());
        ty.map_or(0, |ty| ty.params().len() + ty.results().len())
    };
    let values = match operator {
        Operator::Call { function_index } => {
            module.type_index_of_function(*function_index).map_or(0, count)
        }
        Operator::CallIndirect { type_index, .. } => count(*type_index),
        Operator::Block { blockty: BlockType::FuncType(index) }
        | Operator::Loop { blockty: BlockType::FuncType(index) }
        | Operator::If { blockty: BlockType::FuncType(index) } => count(*index),
        _ => 0,
    };
    values as u64
}

/// Bytes of stack that a value takes at most.
fn slot(ty: &ValType) -> u64 {
    if *ty == ValType::V128 { 16 } else { 8 }
}

/// A block that is open.
#[derive(Debug)]
struct Open {
    kind: Kind,
    /// Code inside can be reached.
    reachable: bool,
    /// A branch leads to its end (to its head, for a loop).
    targeted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A block, or the function itself.
    Block,
    Loop,
    /// An if, in either arm.
    If,
}

/// Finds basic blocks. The instructions that only give structure (block,
/// loop, else, end) are free, every other one costs 1.
#[derive(Debug)]
struct Blocks {
    open: Vec<Open>,
    /// Basic blocks so far: number of the first operator, cost.
    found: Vec<(u32, u64)>,
    /// False after a branch that is always taken.
    reachable: bool,
}

impl Blocks {
    /// At the function's head, where each declared local costs 1 for clearing.
    fn new(declared: u64) -> Self {
        let function = Open { kind: Kind::Block, reachable: true, targeted: false };
        Self { open: vec![function], found: vec![(0, declared)], reachable: true }
    }

    fn charges(self) -> Vec<(u32, u64)> {
        self.found.into_iter().filter(|(_, cost)| *cost > 0).collect()
    }

    /// A basic block begins at operator `number`.
    fn begin(&mut self, number: u32) {
        self.reachable = true;
        self.found.push((number, 0));
    }

    fn cost(&mut self) {
        if let Some((_, cost)) = self.found.last_mut().filter(|_| self.reachable) {
            *cost += 1;
        }
    }

    fn target(&mut self, depth: u32) {
        let index = self.open.len().checked_sub(1 + depth as usize);
        if let Some(open) = index.filter(|_| self.reachable).and_then(|i| self.open.get_mut(i)) {
            open.targeted = true;
        }
    }

    fn enter(&mut self, kind: Kind) {
        self.open.push(Open { kind, reachable: self.reachable, targeted: false });
    }

    fn operator(&mut self, number: u32, operator: &Operator<'_>) -> Result<(), AdmissionError> {
        match operator {
            Operator::Block { .. } => self.enter(Kind::Block),
            Operator::Loop { .. } => {
                self.enter(Kind::Loop);
                if self.reachable {
                    self.begin(number + 1);
                }
            }
            Operator::If { .. } => {
                self.cost();
                self.enter(Kind::If);
                if self.reachable {
                    self.begin(number + 1);
                }
            }
            Operator::Else => {
                let reachable = self.open.last().is_some_and(|open| open.reachable);
                self.reachable = reachable;
                if reachable {
                    self.begin(number + 1);
                }
            }
            Operator::End => {
                if let Some(open) = self.open.pop().filter(|open| open.reachable) {
                    let meets = match open.kind {
                        Kind::Block => open.targeted,
                        Kind::Loop => false,
                        Kind::If => true,
                    };
                    if meets {
                        self.begin(number + 1);
                    }
                }
            }
            Operator::Br { relative_depth } => {
                self.cost();
                self.target(*relative_depth);
                self.reachable = false;
            }
            Operator::BrIf { relative_depth } => {
                self.cost();
                self.target(*relative_depth);
                if self.reachable {
                    self.begin(number + 1);
                }
            }
            Operator::BrTable { targets } => {
                self.cost();
                for target in targets.targets() {
                    self.target(target?);
                }
                self.target(targets.default());
                self.reachable = false;
            }
            Operator::Return | Operator::Unreachable => {
                self.cost();
                self.reachable = false;
            }
            _ => self.cost(),
        }
        Ok(())
    }
}
