//! A small module that calls exports of instrumented ones with constants and
//! stores the bits of what they return in its own memory, where a page can
//! compare them: JavaScript neither shows a vector nor keeps the bits of a NaN.

use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalType,
    HeapType, ImportSection, InstructionSink, MemArg, MemArgTarget, MemorySection, MemoryType,
    Module, RefType, TypeSection, ValType,
};

/// Bytes of the wrapper's memory for each result.
pub(crate) const SLOT: usize = 16;

/// A constant argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Constant {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(i128),
    NullFunction,
}

/// What is called or read: an export of the wrapped instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Function(Vec<ValType>, Vec<ValType>),
    Global(GlobalType),
}

/// One call, or one global read.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Whose export.
    pub(crate) instance: usize,
    pub(crate) export: String,
    pub(crate) args: Vec<Constant>,
}

/// The module, and where each of its imports comes from.
pub(crate) struct Wrapper {
    pub(crate) bytes: Vec<u8>,
    pub(crate) imports: Vec<(usize, String)>,
    /// Types of the results of each call.
    pub(crate) results: Vec<Vec<ValType>>,
}

/// Wraps calls: the export with a call's number makes it, and `memory` holds
/// each result in a slot.
pub(crate) fn wrap(
    calls: &[Call],
    mut target: impl FnMut(usize, &str) -> Option<Target>,
) -> Result<Wrapper> {
    let mut wrapper = Wrapper { bytes: Vec::new(), imports: Vec::new(), results: Vec::new() };
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    let mut indices: HashMap<(usize, &str), (u32, Target)> = HashMap::new();
    let (mut functions, mut globals) = (0, 0);
    for call in calls {
        let key = (call.instance, call.export.as_str());
        if indices.contains_key(&key) {
            continue;
        }
        let found = target(call.instance, &call.export);
        let found = found.with_context(|| format!("nothing to call at {:?}", call.export))?;
        let (count, entity) = match &found {
            Target::Function(params, results) => {
                types.ty().function(params.clone(), results.clone());
                (&mut functions, EntityType::Function(types.len() - 1))
            }
            Target::Global(ty) => (&mut globals, EntityType::Global(*ty)),
        };
        imports.import("t", &wrapper.imports.len().to_string(), entity);
        wrapper.imports.push((call.instance, call.export.clone()));
        indices.insert(key, (*count, found));
        *count += 1;
    }
    let mut declared = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    for (number, call) in calls.iter().enumerate() {
        let (index, target) = &indices[&(call.instance, call.export.as_str())];
        let (body, results) = body(*index, target, &call.args)?;
        declared.function(0);
        exports.export(&number.to_string(), ExportKind::Func, functions + number as u32);
        code.function(&body);
        wrapper.results.push(results);
    }
    exports.export("memory", ExportKind::Memory, 0);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&declared).section(&memories);
    module.section(&exports).section(&code);
    wrapper.bytes = module.finish();
    Ok(wrapper)
}

/// Pushes the arguments, calls, stores the results.
fn body(index: u32, target: &Target, args: &[Constant]) -> Result<(Function, Vec<ValType>)> {
    let (params, results) = match target {
        Target::Function(params, results) => (params.len(), results.clone()),
        Target::Global(ty) => (0, vec![ty.val_type]),
    };
    if params != args.len() {
        bail!("{} arguments for {params} parameters", args.len());
    }
    let mut function = Function::new_with_locals_types(results.iter().copied());
    let mut code = function.instructions();
    for arg in args {
        push(&mut code, *arg);
    }
    match target {
        Target::Function(..) => code.call(index),
        Target::Global(_) => code.global_get(index),
    };
    for local in (0..results.len() as u32).rev() {
        code.local_set(local);
    }
    for (local, ty) in (0..).zip(&results) {
        code.i32_const(local as i32 * SLOT as i32).local_get(local);
        let at = MemArg { offset: 0, align: 0, target: MemArgTarget::Memory(0), ordering: None };
        match ty {
            ValType::I32 => code.i32_store(at),
            ValType::I64 => code.i64_store(at),
            ValType::F32 => code.f32_store(at),
            ValType::F64 => code.f64_store(at),
            ValType::V128 => code.v128_store(at),
            // Whether it is null is all that can be told of a reference.
            ValType::Ref(_) => code.ref_is_null().i32_store(at),
        };
    }
    code.end();
    Ok((function, results))
}

fn push(code: &mut InstructionSink<'_>, constant: Constant) {
    match constant {
        Constant::I32(value) => code.i32_const(value),
        Constant::I64(value) => code.i64_const(value),
        Constant::F32(bits) => code.f32_const(f32::from_bits(bits).into()),
        Constant::F64(bits) => code.f64_const(f64::from_bits(bits).into()),
        Constant::V128(value) => code.v128_const(value),
        Constant::NullFunction => code.ref_null(HeapType::FUNC),
    };
}

/// A type of wasmtime's as wasm-encoder has it.
pub(crate) fn val_type(ty: &wasmtime::ValType) -> Option<ValType> {
    Some(match ty {
        wasmtime::ValType::I32 => ValType::I32,
        wasmtime::ValType::I64 => ValType::I64,
        wasmtime::ValType::F32 => ValType::F32,
        wasmtime::ValType::F64 => ValType::F64,
        wasmtime::ValType::V128 => ValType::V128,
        ty if ty.is_funcref() => ValType::Ref(RefType::FUNCREF),
        _ => return None,
    })
}
