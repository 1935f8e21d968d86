//! Goes through a module's sections, checks and rewrites each.

use super::body;
use super::code::Added;
use super::error::{AdmissionError, Reason, within};
use super::{Admitted, FEATURES, limits};
use crate::host::{ValueType, WasiFunction};
use crate::names;
use grid_protocol::limits::MAX_MEMORY_PAGES;
use std::collections::BTreeMap;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{self as enc, ConstExpr, EntityType, ExportKind, GlobalType, Instruction};
use wasmparser::{
    DataKind, ElementItems, ElementKind, ExternalKind, FuncToValidate, FuncType,
    FuncValidatorAllocations, FunctionBody, MemoryType, Operator, Parser, Payload, TypeRef,
    ValType, ValidPayload, Validator, ValidatorResources,
};

type Result<T = ()> = std::result::Result<T, AdmissionError>;

/// Shifts function indices; all else keeps its index.
struct Indices(Added);

impl Reencode for Indices {
    type Error = std::convert::Infallible;

    fn function_index(
        &mut self,
        index: u32,
    ) -> std::result::Result<u32, reencode::Error<Self::Error>> {
        Ok(self.0.function(index))
    }
}

/// What the sections read so far say, and the sections written so far.
#[derive(Default)]
struct Rewriter {
    types: Vec<FuncType>,
    /// Type of every function, imports first.
    functions: Vec<u32>,
    imported: u32,
    globals: u32,
    tables: Vec<u64>,
    memory: Option<MemoryType>,
    start: Option<u32>,
    exports_memory: bool,
    /// Functions that the source exports: those may be referred to.
    exported: Vec<u32>,
    takes_references: bool,
    /// A type with several parameters or results has a vector among them.
    wide: bool,
    allocations: FuncValidatorAllocations,
    /// Sums over all functions read so far.
    passed: u64,
    product: u64,
    /// Types `() -> (results)` for the blocks around the bodies of functions
    /// with several results, by the function's type.
    wrappers: BTreeMap<u32, u32>,

    out_types: enc::TypeSection,
    out_imports: enc::ImportSection,
    out_functions: enc::FunctionSection,
    out_tables: enc::TableSection,
    out_globals: enc::GlobalSection,
    out_elements: enc::ElementSection,
    out_data_count: Option<u32>,
    out_code: enc::CodeSection,
    out_data: enc::DataSection,
}

/// Validates and rewrites.
pub(super) fn rewrite(source: &[u8]) -> Result<Admitted> {
    let mut validator = Validator::new_with_features(FEATURES);
    let mut rewriter = Rewriter::default();
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    for payload in parser.parse_all(source) {
        let payload = payload?;
        rewriter.check_counts(&payload)?;
        let valid = validator.payload(&payload)?;
        if let ValidPayload::Func(function, body) = valid {
            let index = function.index;
            rewriter
                .function(function, &body)
                .map_err(|error| error.at(body.range().start).in_function(index, source))?;
        } else {
            rewriter.section(payload)?;
        }
    }
    rewriter.finish()
}

impl Rewriter {
    /// Bounds what a section claims to hold, before it is read.
    fn check_counts(&self, payload: &Payload<'_>) -> Result {
        let (what, count, limit) = match payload {
            Payload::TypeSection(s) => ("types", s.count(), limits::TYPES),
            Payload::ImportSection(s) => ("imports", s.count(), limits::IMPORTS),
            Payload::FunctionSection(s) => ("functions", s.count(), limits::FUNCTIONS),
            Payload::TableSection(s) => ("tables", s.count(), limits::TABLES),
            Payload::GlobalSection(s) => ("globals", s.count(), limits::GLOBALS),
            Payload::ExportSection(s) => ("exports", s.count(), limits::EXPORTS),
            Payload::ElementSection(s) => ("element segments", s.count(), limits::SEGMENTS),
            Payload::DataSection(s) => ("data segments", s.count(), limits::SEGMENTS),
            _ => return Ok(()),
        };
        Ok(within(what, count.into(), limit)?)
    }

    /// The indices of what is added. Known from the element section on: what
    /// it depends on comes earlier in a module.
    fn added(&self) -> Added {
        let defined = self.functions.len() as u32 - self.imported;
        Added::new(self.imported, defined, self.globals)
    }

    /// Takes a section that the validator accepted.
    fn section(&mut self, payload: Payload<'_>) -> Result {
        let mut indices = Indices(self.added());
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.clone().into_iter_err_on_gc_types() {
                    let ty = ty?;
                    within("parameters", ty.params().len() as u64, limits::PARAMS)?;
                    within("results", ty.results().len() as u64, limits::PARAMS)?;
                    for list in [ty.params(), ty.results()] {
                        self.wide |= list.len() > 1 && list.contains(&ValType::V128);
                    }
                    self.types.push(ty);
                }
                indices.parse_type_section(&mut self.out_types, section)?;
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports_with_offsets() {
                    let (offset, import) = import?;
                    let ty = self
                        .import(import.module, import.name, import.ty)
                        .map_err(|reason| AdmissionError::from(reason).at(offset))?;
                    self.out_imports.import(import.module, import.name, EntityType::Function(ty));
                    self.functions.push(ty);
                    self.imported += 1;
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    let ty = ty?;
                    self.out_functions.function(ty);
                    self.functions.push(ty);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    within("elements of a table", table.ty.initial, limits::TABLE_ELEMENTS)?;
                    let mut ty = indices.table_type(table.ty)?;
                    let most = limits::TABLE_ELEMENTS;
                    ty.maximum = Some(ty.maximum.map_or(most, |maximum| maximum.min(most)));
                    self.tables.push(table.ty.initial);
                    self.out_tables.table(ty);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory?;
                    within("pages of memory", memory.initial, MAX_MEMORY_PAGES.into())?;
                    self.memory = Some(memory);
                }
            }
            Payload::GlobalSection(section) => {
                self.globals = section.count();
                indices.parse_global_section(&mut self.out_globals, section)?;
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    match (export.kind, export.name) {
                        (ExternalKind::Memory, names::MEMORY) => self.exports_memory = true,
                        (ExternalKind::Func, name) => {
                            if name == names::START {
                                self.start = Some(export.index);
                            }
                            self.exported.push(export.index);
                        }
                        _ => {}
                    }
                }
            }
            Payload::StartSection { range, .. } => {
                return Err(AdmissionError::from(Reason::StartSection).at(range.start));
            }
            Payload::ElementSection(section) => {
                for (number, element) in (0..).zip(section) {
                    let element = element?;
                    if let ElementKind::Active { table_index, offset_expr } = &element.kind {
                        let count = match &element.items {
                            ElementItems::Functions(items) => items.count(),
                            ElementItems::Expressions(_, items) => items.count(),
                        };
                        let table = table_index.unwrap_or(0) as usize;
                        let size = self.tables.get(table).copied().unwrap_or(0);
                        if constant(offset_expr)? + u64::from(count) > size {
                            let reason = Reason::Segment("element", number);
                            return Err(AdmissionError::from(reason).at(element.range.start));
                        }
                    }
                    indices.parse_element(&mut self.out_elements, element)?;
                }
            }
            Payload::DataCountSection { count, .. } => self.out_data_count = Some(count),
            Payload::DataSection(section) => {
                let size = self.memory.map_or(0, |memory| memory.initial * 65_536);
                for (number, data) in (0..).zip(section) {
                    let data = data?;
                    if let DataKind::Active { offset_expr, .. } = &data.kind
                        && constant(offset_expr)? + data.data.len() as u64 > size
                    {
                        let reason = Reason::Segment("data", number);
                        return Err(AdmissionError::from(reason).at(data.range.start));
                    }
                    indices.parse_data(&mut self.out_data, data)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The type of an import, when it is a WASI function as WASI has it.
    fn import(&self, module: &str, name: &str, ty: TypeRef) -> std::result::Result<u32, Reason> {
        let wasi = WasiFunction::from_name(name).filter(|_| module == names::WASI);
        let (Some(wasi), TypeRef::Func(index)) = (wasi, ty) else {
            let short = |text: &str| text.chars().take(80).flat_map(char::escape_debug).collect();
            return Err(Reason::Import { module: short(module), name: short(name) });
        };
        let value = |ty: &ValueType| match ty {
            ValueType::I32 => ValType::I32,
            ValueType::I64 => ValType::I64,
        };
        let results: &[ValType] = if wasi.returns_errno() { &[ValType::I32] } else { &[] };
        let same = self.types.get(index as usize).is_some_and(|ty| {
            ty.params().iter().copied().eq(wasi.params().iter().map(value))
                && ty.results() == results
        });
        if same { Ok(index) } else { Err(Reason::ImportSignature(wasi.name())) }
    }

    /// Type of a function: its index, and what it is.
    fn function_type(&self, function: u32) -> Option<(u32, &FuncType)> {
        let index = *self.functions.get(function as usize)?;
        Some((index, self.types.get(index as usize)?))
    }

    /// Validates and rewrites a function's body.
    fn function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        source: &FunctionBody<'_>,
    ) -> Result {
        let (type_index, ty) =
            self.function_type(function.index).expect("the validator knows the function");
        let ty = ty.clone();
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        let body = body::read(&mut validator, source, &ty, self.wide)?;
        self.allocations = validator.into_allocations();
        self.takes_references |= body.takes_references;
        self.passed += body.passed;
        self.product += body.product;
        within("values passed by calls", self.passed, limits::VALUES_PASSED)?;
        let most = limits::MODULE_LOCALS_BY_BLOCKS;
        within("locals times blocks of the module", self.product, most)?;

        let added = self.added();
        let mut indices = Indices(added);
        let (mut out, scratch) = with_scratch(source, &ty, &mut indices)?;
        // One leaf at a time is on the stack, so small ones are free.
        let framed = body.calls || body.frame > limits::LEAF_FRAME;
        let frame = body.frame as u32;
        if framed {
            let wrapper = self.wrapper(type_index, &ty, &mut indices)?;
            out.instruction(&Instruction::Block(wrapper));
            added.enter(&mut out.instructions(), frame, scratch);
        }
        let mut charges = body.charges.into_iter().peekable();
        let mut operators = source.get_operators_reader()?;
        let mut depth = 0;
        for number in 0.. {
            if operators.eof() {
                break;
            }
            if let Some((_, fuel)) = charges.next_if(|(at, _)| *at == number) {
                added.charge(&mut out.instructions(), fuel, scratch);
            }
            let operator = operators.read()?;
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
                Operator::End if depth > 0 => depth -= 1,
                // The function's own end closes the block around its body.
                Operator::End if framed => {
                    out.instruction(&Instruction::End);
                    added.leave(&mut out.instructions(), frame);
                }
                Operator::Return if framed => {
                    out.instruction(&Instruction::Br(depth));
                    continue;
                }
                Operator::MemoryGrow { .. } => {
                    out.instruction(&Instruction::Call(added.grow_bounded));
                    continue;
                }
                Operator::MemoryCopy { .. }
                | Operator::MemoryFill { .. }
                | Operator::MemoryInit { .. } => {
                    out.instruction(&Instruction::Call(added.charge_bytes));
                }
                Operator::TableCopy { .. }
                | Operator::TableFill { .. }
                | Operator::TableInit { .. }
                | Operator::TableGrow { .. } => {
                    out.instruction(&Instruction::Call(added.charge_elements));
                }
                _ => {}
            }
            out.instruction(&indices.instruction(operator)?);
        }
        let size = out.byte_len() as u64;
        within("bytes of a function's body after admission", size, limits::ADMITTED_BODY)?;
        self.out_code.function(&out);
        Ok(())
    }

    /// Type of the block around a function's body: nothing in, its results
    /// out.
    fn wrapper(
        &mut self,
        type_index: u32,
        ty: &FuncType,
        indices: &mut Indices,
    ) -> Result<enc::BlockType> {
        match ty.results() {
            [] => Ok(enc::BlockType::Empty),
            [result] => Ok(enc::BlockType::Result(indices.val_type(*result)?)),
            results => {
                let index = match self.wrappers.get(&type_index) {
                    Some(index) => *index,
                    None => {
                        let index = self.out_types.len();
                        let results = indices.val_types(results.to_vec())?;
                        self.out_types.ty().function([], results);
                        self.wrappers.insert(type_index, index);
                        index
                    }
                };
                Ok(enc::BlockType::FunctionType(index))
            }
        }
    }

    /// Checks what must be there, adds what admission adds, and puts the
    /// module together.
    fn finish(mut self) -> Result<Admitted> {
        let start = self.start.filter(|start| {
            *start >= self.imported
                && self
                    .function_type(*start)
                    .is_some_and(|(_, ty)| ty.params().is_empty() && ty.results().is_empty())
        });
        let start = start.ok_or(Reason::NoStart)?;
        let memory = self.memory.filter(|_| self.exports_memory).ok_or(Reason::NoMemory)?;
        let added = self.added();
        let indices = Indices(added);

        let types = self.out_types.len();
        let (refill, unary, nothing) = (types, types + 1, types + 2);
        self.out_types.ty().function([enc::ValType::I64], [enc::ValType::I64]);
        self.out_types.ty().function([enc::ValType::I32], [enc::ValType::I32]);
        self.out_types.ty().function([], []);
        self.out_imports
            .import(names::GRID, names::REFILL, EntityType::Function(refill))
            .import(names::GRID, names::GROW, EntityType::Function(unary))
            .import(names::GRID, names::STACK_OVERFLOW, EntityType::Function(nothing));
        self.out_functions.function(nothing).function(unary).function(unary).function(unary);
        self.out_code
            .function(&added.slow_body())
            .function(&added.charge_bytes_body())
            .function(&added.charge_elements_body())
            .function(&added.grow_body(memory.maximum));

        let mutable = |val_type| GlobalType { val_type, mutable: true, shared: false };
        self.out_globals
            .global(mutable(enc::ValType::I64), &ConstExpr::i64_const(0))
            .global(mutable(enc::ValType::I64), &ConstExpr::i64_const(0));

        let most = u64::from(MAX_MEMORY_PAGES);
        let mut memories = enc::MemorySection::new();
        memories.memory(enc::MemoryType {
            minimum: memory.initial,
            maximum: Some(memory.maximum.map_or(most, |maximum| maximum.min(most))),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });

        let mut exports = enc::ExportSection::new();
        exports
            .export(names::START, ExportKind::Func, added.function(start))
            .export(names::MEMORY, ExportKind::Memory, 0)
            .export(names::FUEL, ExportKind::Global, added.fuel);
        // Functions may be referred to because they are exported; declare
        // those whose export is dropped.
        if self.takes_references && !self.exported.is_empty() {
            let functions: Vec<u32> =
                self.exported.iter().map(|index| indices.0.function(*index)).collect();
            self.out_elements.declared(enc::Elements::Functions(functions.into()));
        }

        let mut module = enc::Module::new();
        module.section(&self.out_types).section(&self.out_imports).section(&self.out_functions);
        if !self.out_tables.is_empty() {
            module.section(&self.out_tables);
        }
        module.section(&memories).section(&self.out_globals).section(&exports);
        if !self.out_elements.is_empty() {
            module.section(&self.out_elements);
        }
        if let Some(count) = self.out_data_count {
            module.section(&enc::DataCountSection { count });
        }
        module.section(&self.out_code);
        if !self.out_data.is_empty() {
            module.section(&self.out_data);
        }
        Ok(Admitted { bytes: module.finish(), memory_pages: memory.initial as u32 })
    }
}

/// A function with the locals of the source, and one i64 more, with its index.
fn with_scratch(
    source: &FunctionBody<'_>,
    ty: &FuncType,
    indices: &mut Indices,
) -> Result<(enc::Function, u32)> {
    let mut locals = Vec::new();
    let mut scratch = ty.params().len() as u32;
    for local in source.get_locals_reader()? {
        let (count, ty) = local?;
        scratch += count;
        locals.push((count, indices.val_type(ty)?));
    }
    locals.push((1, enc::ValType::I64));
    Ok((enc::Function::new(locals), scratch))
}

/// The value of an offset. Without imported globals and extended constants,
/// it can only be an `i32.const`.
fn constant(expression: &wasmparser::ConstExpr<'_>) -> Result<u64> {
    match expression.get_operators_reader().read()? {
        Operator::I32Const { value } => Ok(value.cast_unsigned().into()),
        _ => Err(Reason::Invalid("a segment's offset is not a constant".into()).into()),
    }
}
