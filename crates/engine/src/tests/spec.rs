//! The WebAssembly core tests, after admission: every assertion holds.

use super::*;
use grid_sandbox::admission::instrument_open;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use wasmtime::{
    Global, GlobalType, Instance, Linker, Memory, MemoryType, Ref, RefType, Store, Table,
    TableType, Trap, Val, ValType,
};
use wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

/// What validation says of the features that task modules may not use: types of
/// references other than to functions, and constants that are computed.
const EXTERNREF: &str = "gc types are disallowed but found type which requires gc";
const CONSTANT_GLOBAL: &str = "constant expression required: global.get of locally defined global";
const CONSTANT_ADD: &str = "constant expression required: non-constant operator: i32.add";
const CONSTANT_SUB: &str = "constant expression required: non-constant operator: i32.sub";
const CONSTANT_MUL: &str = "constant expression required: non-constant operator: i32.mul";
const TABLE_VALUE: &str =
    "tables with expression initializers require the function-references proposal";
const NON_NULL: &str = "function references required for non-nullable types";
const TYPED_REFERENCE: &str = "function references required for index reference types";

/// Modules that admission refuses: by file and reason, how many. What the files
/// assert about them is not run; all else is.
const REFUSED: &[(&str, &str, usize)] = &[
    ("br_table.wast", EXTERNREF, 1),
    ("data.wast", CONSTANT_GLOBAL, 2),
    ("data.wast", CONSTANT_ADD, 1),
    ("data.wast", CONSTANT_MUL, 1),
    ("data.wast", CONSTANT_SUB, 2),
    ("elem.wast", CONSTANT_GLOBAL, 2),
    ("elem.wast", CONSTANT_ADD, 1),
    ("elem.wast", CONSTANT_MUL, 1),
    ("elem.wast", CONSTANT_SUB, 2),
    ("elem.wast", NON_NULL, 16),
    ("elem.wast", EXTERNREF, 2),
    ("global.wast", CONSTANT_GLOBAL, 2),
    ("global.wast", EXTERNREF, 1),
    ("global.wast", TABLE_VALUE, 1),
    ("memory.wast", "pages of memory: 65536 is more than the 16384 allowed", 1),
    ("memory_grow.wast", "multiple memories", 3),
    ("ref_is_null.wast", TYPED_REFERENCE, 1),
    ("ref_is_null.wast", EXTERNREF, 1),
    ("ref_null.wast", EXTERNREF, 2),
    ("select.wast", EXTERNREF, 1),
    ("table.wast", "elements of a table: 4294967295 is more than the 100000 allowed", 1),
    ("table.wast", TYPED_REFERENCE, 3),
    ("table.wast", EXTERNREF, 1),
    ("table.wast", TABLE_VALUE, 3),
    ("table_get.wast", EXTERNREF, 1),
    ("table_init.wast", "array indexed types not supported without the gc feature", 1),
    ("table_set.wast", EXTERNREF, 1),
    ("table_size.wast", EXTERNREF, 1),
];

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// Admission refuses the module, for this reason.
    Refused(String),
    Trap,
    Stack,
    Link,
}

type Outcome<T = Vec<Val>> = Result<T, Failure>;

/// What the stack limit throws.
#[derive(Debug, thiserror::Error)]
#[error("the stack is used up")]
struct StackUsedUp;

struct Runner {
    store: Store<()>,
    linker: Linker<()>,
    current: Outcome<Instance>,
    named: HashMap<String, Outcome<Instance>>,
    definitions: HashMap<String, Outcome<Vec<u8>>>,
    /// Reasons for refusing modules that are valid.
    refused: BTreeMap<String, usize>,
    held: usize,
    /// Assertions about modules that admission refuses.
    not_run: usize,
}

impl Runner {
    fn new() -> Self {
        let engine = &ENGINE.engine;
        let mut store = Store::new(engine, ());
        let mut linker = Linker::new(engine);
        linker.allow_shadowing(true);
        linker.func_wrap("grid", "refill", |_: i64| 1i64 << 50).unwrap();
        linker.func_wrap("grid", "grow", |_: i32| -1).unwrap();
        let overflow = || wasmtime::Result::<()>::Err(wasmtime::Error::new(StackUsedUp));
        linker.func_wrap("grid", "stack_overflow", overflow).unwrap();
        let spectest = "spectest";
        linker.func_wrap(spectest, "print", || {}).unwrap();
        linker.func_wrap(spectest, "print_i32", |_: i32| {}).unwrap();
        linker.func_wrap(spectest, "print_i64", |_: i64| {}).unwrap();
        linker.func_wrap(spectest, "print_f32", |_: f32| {}).unwrap();
        linker.func_wrap(spectest, "print_f64", |_: f64| {}).unwrap();
        linker.func_wrap(spectest, "print_i32_f32", |_: i32, _: f32| {}).unwrap();
        linker.func_wrap(spectest, "print_f64_f64", |_: f64, _: f64| {}).unwrap();
        for (name, ty, value) in [
            ("global_i32", ValType::I32, Val::I32(666)),
            ("global_i64", ValType::I64, Val::I64(666)),
            ("global_f32", ValType::F32, Val::F32(666.6f32.to_bits())),
            ("global_f64", ValType::F64, Val::F64(666.6f64.to_bits())),
        ] {
            let ty = GlobalType::new(ty, wasmtime::Mutability::Const);
            let global = Global::new(&mut store, ty, value).unwrap();
            linker.define(&store, spectest, name, global).unwrap();
        }
        let ty = TableType::new(RefType::FUNCREF, 10, Some(20));
        let table = Table::new(&mut store, ty, Ref::Func(None)).unwrap();
        linker.define(&store, spectest, "table", table).unwrap();
        let memory = Memory::new(&mut store, MemoryType::new(1, Some(2))).unwrap();
        linker.define(&store, spectest, "memory", memory).unwrap();
        Self {
            store,
            linker,
            current: Err(Failure::Link),
            named: HashMap::new(),
            definitions: HashMap::new(),
            refused: BTreeMap::new(),
            held: 0,
            not_run: 0,
        }
    }

    fn admit(&mut self, source: &[u8]) -> Outcome<Vec<u8>> {
        instrument_open(source).map_err(|error| {
            let reason = error.reason.to_string();
            *self.refused.entry(reason.clone()).or_default() += 1;
            Failure::Refused(reason)
        })
    }

    fn instantiate(&mut self, admitted: Outcome<Vec<u8>>) -> Outcome<Instance> {
        let module = wasmtime::Module::new(&ENGINE.engine, admitted?).unwrap();
        self.linker.instantiate(&mut self.store, &module).map_err(|error| failure(&error))
    }

    fn define(&mut self, id: Option<Id<'_>>, made: Outcome<Instance>) {
        assert!(matches!(made, Ok(_) | Err(Failure::Refused(_))), "{made:?}");
        if let Some(id) = id {
            self.named.insert(id.name().to_owned(), made.clone());
        }
        self.current = made;
    }

    fn instance(&self, id: Option<Id<'_>>) -> Outcome<Instance> {
        id.map_or(&self.current, |id| &self.named[id.name()]).clone()
    }

    fn invoke(&mut self, call: WastInvoke<'_>) -> Outcome {
        let instance = self.instance(call.module)?;
        let function = instance.get_func(&mut self.store, call.name).unwrap();
        let args: Vec<Val> = call.args.iter().map(argument).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, &args, &mut results).map_err(|error| failure(&error))?;
        Ok(results)
    }

    fn execute(&mut self, execute: WastExecute<'_>) -> Outcome {
        match execute {
            WastExecute::Invoke(call) => self.invoke(call),
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(module)?;
                let global = instance.get_global(&mut self.store, global).unwrap();
                Ok(vec![global.get(&mut self.store)])
            }
            WastExecute::Wat(mut module) => {
                let admitted = self.admit(&module.encode().unwrap());
                self.instantiate(admitted).map(|_| Vec::new())
            }
        }
    }

    /// Notes an assertion: that it holds, or that its module is refused.
    fn check<T>(&mut self, at: &str, got: &Outcome<T>, holds: bool) {
        match got {
            Err(Failure::Refused(_)) => self.not_run += 1,
            _ => {
                assert!(holds, "{at}: {:?}", got.as_ref().err());
                self.held += 1;
            }
        }
    }

    fn directive(&mut self, at: &str, directive: WastDirective<'_>) {
        match directive {
            WastDirective::Module(mut module) => {
                let admitted = self.admit(&module.encode().unwrap());
                let made = self.instantiate(admitted);
                self.define(module.name(), made);
            }
            WastDirective::ModuleDefinition(mut module) => {
                let admitted = self.admit(&module.encode().unwrap());
                let name = module.name().map_or("", |id| id.name());
                self.definitions.insert(name.to_owned(), admitted);
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let admitted = self.definitions[module.map_or("", |id| id.name())].clone();
                let made = self.instantiate(admitted);
                self.define(instance, made);
            }
            WastDirective::Register { name, module, .. } => {
                if let Ok(instance) = self.instance(module) {
                    self.linker.instance(&mut self.store, name, instance).unwrap();
                }
            }
            WastDirective::Invoke(call) => drop(self.invoke(call)),
            WastDirective::AssertReturn { exec, results, .. } => {
                let got = self.execute(exec);
                let holds = got.as_ref().is_ok_and(|got| {
                    got.len() == results.len()
                        && results.iter().zip(got).all(|(wanted, got)| matches(wanted, got))
                });
                if !holds && let Ok(got) = &got {
                    panic!("{at}: {got:x?}, not {results:x?}");
                }
                self.check(at, &got, holds);
            }
            WastDirective::AssertTrap { exec, .. } => {
                let got = self.execute(exec);
                self.check(at, &got, matches!(got, Err(Failure::Trap)));
            }
            WastDirective::AssertExhaustion { call, .. } => {
                let got = self.invoke(call);
                self.check(at, &got, matches!(got, Err(Failure::Stack)));
            }
            WastDirective::AssertUnlinkable { mut module, .. } => {
                let admitted = self.admit(&module.encode().unwrap());
                let got = self.instantiate(admitted);
                self.check(at, &got, matches!(got, Err(Failure::Link)));
            }
            WastDirective::AssertInvalid { mut module, .. }
            | WastDirective::AssertMalformed { mut module, .. } => {
                let taken = module.encode().is_ok_and(|bytes| instrument_open(&bytes).is_ok());
                assert!(!taken, "{at}: admission takes an invalid module");
                self.held += 1;
            }
            other => panic!("{at}: {other:?} is not for task modules"),
        }
    }
}

fn failure(error: &wasmtime::Error) -> Failure {
    if error.is::<StackUsedUp>() {
        Failure::Stack
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        assert!(*trap != Trap::StackOverflow, "the engine's stack limit came first");
        Failure::Trap
    } else {
        Failure::Link
    }
}

fn argument(arg: &WastArg<'_>) -> Val {
    let WastArg::Core(arg) = arg else { panic!("an argument of a component") };
    match arg {
        WastArgCore::I32(value) => Val::I32(*value),
        WastArgCore::I64(value) => Val::I64(*value),
        WastArgCore::F32(value) => Val::F32(value.bits),
        WastArgCore::F64(value) => Val::F64(value.bits),
        WastArgCore::V128(value) => Val::V128(u128::from_le_bytes(value.to_le_bytes()).into()),
        WastArgCore::RefNull(_) => Val::FuncRef(None),
        other => panic!("{other:?} is not for task modules"),
    }
}

fn matches(wanted: &WastRet<'_>, got: &Val) -> bool {
    let WastRet::Core(wanted) = wanted else { return false };
    match (wanted, got) {
        (WastRetCore::I32(wanted), Val::I32(got)) => wanted == got,
        (WastRetCore::I64(wanted), Val::I64(got)) => wanted == got,
        (WastRetCore::F32(wanted), Val::F32(got)) => matches_f32(wanted, *got),
        (WastRetCore::F64(wanted), Val::F64(got)) => matches_f64(wanted, *got),
        (WastRetCore::V128(wanted), Val::V128(got)) => matches_v128(wanted, got.as_u128()),
        (WastRetCore::RefNull(_), got) => got.ref_().is_some_and(|got| got.is_null()),
        (WastRetCore::RefFunc(_), Val::FuncRef(got)) => got.is_some(),
        _ => false,
    }
}

/// NaNs that arithmetic makes are canonical and positive after admission,
/// where the tests allow others.
fn matches_f32(wanted: &NanPattern<wast::token::F32>, got: u32) -> bool {
    match wanted {
        NanPattern::Value(value) => value.bits == got,
        NanPattern::CanonicalNan => got & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => got == 0x7fc0_0000,
    }
}

fn matches_f64(wanted: &NanPattern<wast::token::F64>, got: u64) -> bool {
    match wanted {
        NanPattern::Value(value) => value.bits == got,
        NanPattern::CanonicalNan => got << 1 == 0x7ff8_0000_0000_0000 << 1,
        NanPattern::ArithmeticNan => got == 0x7ff8_0000_0000_0000,
    }
}

fn matches_v128(wanted: &V128Pattern, got: u128) -> bool {
    let word = |lane: usize| (got >> (32 * lane)) as u32;
    let double = |lane: usize| (got >> (64 * lane)) as u64;
    let mut lanes = (0..).zip(0..4);
    match wanted {
        V128Pattern::I8x16(lanes) => {
            lanes.iter().zip(got.to_le_bytes()).all(|(lane, byte)| lane.to_le_bytes() == [byte])
        }
        V128Pattern::I16x8(lanes) => {
            lanes.iter().flat_map(|lane| lane.to_le_bytes()).eq(got.to_le_bytes())
        }
        V128Pattern::I32x4(wanted) => {
            lanes.all(|(at, lane): (usize, usize)| wanted[at].cast_unsigned() == word(lane))
        }
        V128Pattern::I64x2(wanted) => {
            lanes.take(2).all(|(at, lane)| wanted[at].cast_unsigned() == double(lane))
        }
        V128Pattern::F32x4(wanted) => lanes.all(|(at, lane)| matches_f32(&wanted[at], word(lane))),
        V128Pattern::F64x2(wanted) => {
            lanes.take(2).all(|(at, lane)| matches_f64(&wanted[at], double(lane)))
        }
    }
}

/// Runs a file; reasons for which admission refused modules in it.
fn file(path: &Path) -> Runner {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lexer = Lexer::new(&text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).unwrap();
    let wast: Wast<'_> = parser::parse(&buffer).unwrap();
    let mut runner = Runner::new();
    for directive in wast.directives {
        let (line, _) = directive.span().linecol_in(&text);
        runner.directive(&format!("{}, line {}", path.display(), line + 1), directive);
    }
    runner
}

#[test]
fn core_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/spec-tests");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wast"));
    paths.sort();
    assert_eq!(paths.len(), 85, "files of the core tests");
    let (mut held, mut not_run) = (0, 0);
    let mut refused = Vec::new();
    for path in &paths {
        let runner = file(path);
        held += runner.held;
        not_run += runner.not_run;
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        refused.extend(runner.refused.into_iter().map(|(why, count)| (name.clone(), why, count)));
    }
    println!("{held} assertions hold, {not_run} are about modules that admission refuses");
    let listed: Vec<(String, String, usize)> =
        REFUSED.iter().map(|(file, why, count)| ((*file).into(), (*why).into(), *count)).collect();
    assert_eq!(refused, listed, "modules that admission refuses");
}
