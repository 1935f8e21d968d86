//! Goes through a module's sections, checks and rewrites each.

use super::body;
use super::code::{Added, Growth};
use super::error::{AdmissionError, Reason, within};
use super::function;
use super::{Admitted, FEATURES, limits};
use crate::host::{ValueType, WasiFunction};
use crate::names;
use grid_protocol::limits::MAX_MEMORY_PAGES;
use std::collections::BTreeMap;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{self as enc, ConstExpr, EntityType, ExportKind, GlobalType};
use wasmparser::{
    DataKind, ElementItems, ElementKind, ExternalKind, FuncToValidate, FuncType,
    FuncValidatorAllocations, FunctionBody, MemoryType, Operator, Parser, Payload, TypeRef,
    ValType, ValidPayload, Validator, ValidatorResources,
};

type Result<T = ()> = std::result::Result<T, AdmissionError>;

/// Shifts function indices; all else keeps its index.
pub(super) struct Indices(pub(super) Added);

impl Reencode for Indices {
    type Error = std::convert::Infallible;

    fn function_index(
        &mut self,
        index: u32,
    ) -> std::result::Result<u32, reencode::Error<Self::Error>> {
        Ok(self.0.function(index))
    }
}

/// What a module is rewritten into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// A task module: a command that imports WASI and nothing else.
    #[default]
    Task,
    /// Any module, with all that it imports and exports.
    Open,
}

/// What the sections read so far say, and the sections written so far.
#[derive(Default)]
struct Rewriter {
    form: Form,
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
    whole: BTreeMap<u32, u32>,
    /// Functions called from outside, by the function of the source.
    outside: BTreeMap<u32, u32>,

    out_types: enc::TypeSection,
    out_imports: enc::ImportSection,
    out_tables: enc::TableSection,
    out_memories: enc::MemorySection,
    out_globals: enc::GlobalSection,
    out_exports: enc::ExportSection,
    out_start: Option<u32>,
    out_elements: enc::ElementSection,
    out_data_count: Option<u32>,
    out_bodies: Vec<enc::Function>,
    out_data: enc::DataSection,
}

/// Validates and rewrites.
pub(super) fn rewrite(source: &[u8], form: Form) -> Result<Admitted> {
    let mut validator = Validator::new_with_features(FEATURES);
    let mut rewriter = Rewriter { form, ..Rewriter::default() };
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
        let types = self.types.len() as u32;
        Added::new(self.imported, self.functions.len() as u32, self.globals, types)
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
                for ty in &self.types {
                    let with_budget = |list: &[ValType]| [list, &[ValType::I64]].concat();
                    let params = indices.val_types(with_budget(ty.params()))?;
                    let results = indices.val_types(with_budget(ty.results()))?;
                    self.out_types.ty().function(params, results);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports_with_offsets() {
                    let (offset, import) = import?;
                    if self.form == Form::Task {
                        self.check_import(import.module, import.name, import.ty)
                            .map_err(|reason| AdmissionError::from(reason).at(offset))?;
                    }
                    match import.ty {
                        TypeRef::Func(ty) => {
                            self.functions.push(ty);
                            self.imported += 1;
                        }
                        TypeRef::Table(ty) => self.tables.push(ty.initial),
                        TypeRef::Memory(ty) => self.memory = Some(ty),
                        TypeRef::Global(_) => self.globals += 1,
                        _ => {}
                    }
                    let ty = indices.entity_type(import.ty)?;
                    self.out_imports.import(import.module, import.name, ty);
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    let ty = ty?;
                    self.functions.push(ty);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    within("elements of a table", table.ty.initial, limits::TABLE_ELEMENTS)?;
                    let mut ty = indices.table_type(table.ty)?;
                    if self.form == Form::Task {
                        ty.maximum = at_most(ty.maximum, limits::TABLE_ELEMENTS);
                    }
                    self.tables.push(table.ty.initial);
                    self.out_tables.table(ty);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory?;
                    within("pages of memory", memory.initial, MAX_MEMORY_PAGES.into())?;
                    self.memory = Some(memory);
                    let mut ty = indices.memory_type(memory)?;
                    if self.form == Form::Task {
                        ty.maximum = at_most(ty.maximum, MAX_MEMORY_PAGES.into());
                    }
                    self.out_memories.memory(ty);
                }
            }
            Payload::GlobalSection(section) => {
                self.globals += section.count();
                indices.parse_global_section(&mut self.out_globals, section)?;
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let kept = match (export.kind, export.name) {
                        (ExternalKind::Memory, names::MEMORY) => {
                            self.exports_memory = true;
                            true
                        }
                        (ExternalKind::Func, name) => {
                            if name == names::START {
                                self.start = Some(export.index);
                            }
                            self.exported.push(export.index);
                            name == names::START
                        }
                        _ => false,
                    };
                    if !kept && self.form == Form::Task {
                        continue;
                    }
                    if export.kind == ExternalKind::Func {
                        let index = self.outside(export.index);
                        self.out_exports.export(export.name, ExportKind::Func, index);
                    } else {
                        indices.parse_export(&mut self.out_exports, export)?;
                    }
                }
            }
            Payload::StartSection { func, range } => {
                if self.form == Form::Task {
                    return Err(AdmissionError::from(Reason::StartSection).at(range.start));
                }
                self.out_start = Some(self.outside(func));
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
                        if self.form == Form::Task
                            && constant(offset_expr)? + u64::from(count) > size
                        {
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
                        && self.form == Form::Task
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

    /// What calls a function of the source from outside.
    fn outside(&mut self, function: u32) -> u32 {
        let next = self.added().end() + self.outside.len() as u32;
        *self.outside.entry(function).or_insert(next)
    }

    /// Refuses an import that is not a WASI function as WASI has it.
    fn check_import(
        &self,
        module: &str,
        name: &str,
        ty: TypeRef,
    ) -> std::result::Result<(), Reason> {
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
        if same { Ok(()) } else { Err(Reason::ImportSignature(wasi.name())) }
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

        let mut indices = Indices(self.added());
        let whole = match ty.results() {
            [] => enc::BlockType::Empty,
            [result] => enc::BlockType::Result(indices.val_type(*result)?),
            _ => enc::BlockType::FunctionType(self.whole(type_index)),
        };
        let params = ty.params().len() as u32;
        self.out_bodies.push(function::rewrite(source, params, &body, whole, &mut indices)?);
        Ok(())
    }

    /// Type of the block around the body of a function with several results:
    /// nothing in, its results out.
    fn whole(&mut self, type_index: u32) -> u32 {
        let next = 2 * self.types.len() + self.whole.len();
        *self.whole.entry(type_index).or_insert(next as u32)
    }

    /// Checks what must be there, adds what admission adds, and puts the
    /// module together.
    fn finish(mut self) -> Result<Admitted> {
        if self.form == Form::Task {
            let start = self.start.filter(|start| *start >= self.imported);
            let ty = start.and_then(|start| self.function_type(start));
            if !ty.is_some_and(|(_, ty)| ty.params().is_empty() && ty.results().is_empty()) {
                return Err(Reason::NoStart.into());
            }
            if !self.exports_memory {
                return Err(Reason::NoMemory.into());
            }
        }
        let added = self.added();
        let counter = GlobalType { val_type: enc::ValType::I64, mutable: true, shared: false };
        self.out_globals.global(counter, &ConstExpr::i64_const(0));
        self.out_exports.export(names::FUEL, ExportKind::Global, added.fuel);
        if self.takes_references && !self.exported.is_empty() {
            // Functions may be referred to because they are exported; declare
            // those, since what is exported is another function or nothing.
            let functions: Vec<u32> =
                self.exported.iter().map(|index| added.function(*index)).collect();
            self.out_elements.declared(enc::Elements::Functions(functions.into()));
        }

        let (functions, code) = self.code();

        let mut module = enc::Module::new();
        module.section(&self.out_types).section(&self.out_imports).section(&functions);
        if !self.out_tables.is_empty() {
            module.section(&self.out_tables);
        }
        if !self.out_memories.is_empty() {
            module.section(&self.out_memories);
        }
        module.section(&self.out_globals).section(&self.out_exports);
        if let Some(function_index) = self.out_start {
            module.section(&enc::StartSection { function_index });
        }
        if !self.out_elements.is_empty() {
            module.section(&self.out_elements);
        }
        if let Some(count) = self.out_data_count {
            module.section(&enc::DataCountSection { count });
        }
        module.section(&code);
        if !self.out_data.is_empty() {
            module.section(&self.out_data);
        }
        let memory_pages = self.memory.map_or(0, |memory| memory.initial) as u32;
        Ok(Admitted { bytes: module.finish(), memory_pages })
    }

    /// Writes the types and imports that are added; all functions.
    fn code(&mut self) -> (enc::FunctionSection, enc::CodeSection) {
        use enc::ValType::{I32, I64};
        let added = self.added();
        let mut whole: Vec<(u32, u32)> = self.whole.iter().map(|(of, at)| (*at, *of)).collect();
        whole.sort_unstable();
        for (_, of) in whole {
            let results = self.types[of as usize].results().to_vec();
            let results = Indices(added).val_types(results).expect("types of the source");
            self.out_types.ty().function([], results);
        }
        let types = self.out_types.len();
        let (nothing, unary, budget, charge) = (types, types + 1, types + 2, types + 3);
        self.out_types.ty().function([], []);
        self.out_types.ty().function([I32], [I32]);
        self.out_types.ty().function([I64], [I64]);
        self.out_types.ty().function([I32, I64], [I32, I64]);
        self.out_imports
            .import(names::GRID, names::REFILL, EntityType::Function(budget))
            .import(names::GRID, names::GROW, EntityType::Function(unary))
            .import(names::GRID, names::STACK_OVERFLOW, EntityType::Function(nothing));

        let mut functions = enc::FunctionSection::new();
        let mut code = enc::CodeSection::new();
        let params = |ty: u32| self.types[ty as usize].params().len() as u32;
        for ty in &self.functions {
            functions.function(added.types + ty);
        }
        for (import, ty) in (0..self.imported).zip(&self.functions) {
            code.function(&added.import_body(import, params(*ty)));
        }
        for body in &self.out_bodies {
            code.function(body);
        }
        let growth = match (self.form, self.memory) {
            (Form::Task, Some(memory)) => Growth::Host { maximum: memory.maximum },
            (Form::Open, Some(_)) => Growth::Engine,
            (_, None) => Growth::None,
        };
        functions
            .function(budget)
            .function(charge)
            .function(charge)
            .function(charge)
            .function(budget);
        code.function(&added.more_body())
            .function(&added.charge_bytes_body())
            .function(&added.charge_elements_body())
            .function(&added.grow_body(growth))
            .function(&added.settle_body());
        let mut outside: Vec<(u32, u32)> = self.outside.iter().map(|(of, at)| (*at, *of)).collect();
        outside.sort_unstable();
        for (_, of) in outside {
            let ty = self.functions[of as usize];
            functions.function(ty);
            code.function(&added.export_body(of, params(ty)));
        }
        (functions, code)
    }
}

/// A declared maximum, lowered to `most`.
fn at_most(maximum: Option<u64>, most: u64) -> Option<u64> {
    Some(maximum.map_or(most, |maximum| maximum.min(most)))
}

/// The value of an offset. Without imported globals and extended constants,
/// it can only be an `i32.const`.
fn constant(expression: &wasmparser::ConstExpr<'_>) -> Result<u64> {
    match expression.get_operators_reader().read()? {
        Operator::I32Const { value } => Ok(value.cast_unsigned().into()),
        _ => Err(Reason::Invalid("a segment's offset is not a constant".into()).into()),
    }
}
