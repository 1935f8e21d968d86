//! Looks at one function: validates it, finds where to charge, and the size
//! of its frame.

use super::error::{AdmissionError, within};
use super::flow::{Charge, Flow};
use super::limits;
use super::nan::{Nans, Replace};
use wasmparser::{
    BlockType, FuncType, FuncValidator, FunctionBody, Operator, OperatorsReader, ValType,
    ValidatorResources, WasmModuleResources,
};

/// What is known of a function's body.
#[derive(Debug)]
pub(super) struct Body {
    /// In order.
    pub(super) charges: Vec<Charge>,
    /// In order.
    pub(super) replacements: Vec<Replace>,
    /// Bytes to charge against [`limits::STACK`] while it runs.
    pub(super) frame: u64,
    /// Whether it calls any function.
    pub(super) calls: bool,
    /// Whether it calls through a table.
    pub(super) calls_indirect: bool,
    /// Whether its code may leave by a branch instead of reaching its end.
    pub(super) branches_out: bool,
    /// Whether it takes a reference to a function.
    pub(super) takes_references: bool,
    /// Parameters and results of its calls and blocks together.
    pub(super) passed: u64,
    /// Its locals times its basic blocks.
    pub(super) product: u64,
}

impl Body {
    /// Whether it may leave checking its fuel to its callers.
    pub(super) fn is_short(&self) -> bool {
        let fuel: u64 = self.charges.iter().map(|charge| charge.fuel).sum();
        let loops = self.charges.iter().skip(1).any(|charge| charge.head);
        !self.calls && !loops && fuel <= limits::SHORT
    }
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

    let mut flow = Flow::default();
    let mut nans = Nans::new(validator, ty);
    let mut height = 0;
    let (mut calls, mut calls_indirect, mut takes_references) = (false, false, false);
    let mut branches_out = false;
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
        let arity = operator.operator_arity(validator).unwrap_or((0, 0));
        nans.base(validator.get_control_frame(0).map_or(0, |frame| frame.height));
        validator.op(offset, &operator)?;
        nans.operator(number, &operator, arity);
        nans.settle(validator.operand_stack_height());
        height = height.max(u64::from(validator.operand_stack_height()));
        wide |= validator.get_operand_type(0) == Some(Some(ValType::V128));
        calls |= matches!(operator, Operator::Call { .. });
        calls_indirect |= matches!(operator, Operator::CallIndirect { .. });
        branches_out |= match &operator {
            Operator::Return | Operator::BrTable { .. } => true,
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                u64::from(*relative_depth) >= flow.depth()
            }
            _ => false,
        };
        passed += values_passed(validator.resources(), &operator);
        takes_references |= matches!(operator, Operator::RefFunc { .. });
        flow.operator(number, &operator)?;
        within("blocks inside each other", flow.depth(), limits::NESTING)
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
    let charges = flow.charges(declared);
    calls |= calls_indirect;
    let product = (params + declared + height) * flow.blocks();
    within("locals times blocks of a function", product, limits::LOCALS_BY_BLOCKS)?;
    Ok(Body {
        charges,
        replacements: nans.replacements(),
        frame,
        calls,
        calls_indirect,
        branches_out,
        takes_references,
        passed,
        product,
    })
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
