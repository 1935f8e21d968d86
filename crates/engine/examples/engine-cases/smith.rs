//! Random modules. Each is a function of its number: even ones are commands,
//! admitted as such; of odd ones every export is called, and some of those are
//! made for arithmetic.

mod floats;

use crate::machine::{self, PAGES};
use crate::pack::Pack;
use crate::script::{Ends, Script};
use crate::watch::Watch;
use crate::wrapper::{Call, Constant, Target};
use anyhow::{Context, Result};
use grid_sandbox::admission::{AdmissionError, admit, instrument_open};
use grid_sandbox::names;
use std::collections::BTreeMap;
use std::ops::Range;
use wasm_encoder::ValType;
use wasm_smith::Config;

/// Randomness for one module: the generator stops when it is used up.
const ENTROPY: usize = 8192;

/// Numbers from a seed (xorshift64).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn is_command(number: u64) -> bool {
    number.is_multiple_of(2)
}

/// The source of a module, or none where the generator gives up.
fn source(number: u64) -> Result<Option<Vec<u8>>> {
    let mut random = Random::new(number);
    if number % 8 == 3 {
        return Ok(Some(wat::parse_str(floats::module(&mut random))?));
    }
    let entropy: Vec<u8> = (0..ENTROPY / 8).flat_map(|_| random.next().to_le_bytes()).collect();
    let shape = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    let config = Config {
        exports: is_command(number).then(|| wat::parse_str(shape)).transpose()?,
        export_everything: !is_command(number),
        allow_start_export: !is_command(number),
        // Half of them get further than to their first trap.
        disallow_traps: number % 4 < 2,
        max_imports: 0,
        max_instructions: 400,
        max_data_segments: 3,
        max_element_segments: 4,
        max_funcs: 8,
        max_globals: 8,
        // A command's memory comes with its export.
        max_memories: usize::from(!is_command(number)),
        max_memory32_bytes: u64::from(PAGES) << 16,
        max_table_elements: 1000,
        max_tables: 2,
        max_types: 12,
        memory_max_size_required: true,
        min_element_segments: 1,
        min_funcs: 3,
        min_memories: u32::from(!is_command(number)),
        min_tables: 1,
        table_max_size_required: true,
        compact_imports_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        // It brings references from outside, which admission refuses.
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    };
    let mut unstructured = arbitrary::Unstructured::new(&entropy);
    Ok(wasm_smith::Module::new(config, &mut unstructured).ok().map(|module| module.to_bytes()))
}

fn admitted(number: u64, source: &[u8]) -> std::result::Result<Vec<u8>, AdmissionError> {
    if is_command(number) {
        admit(source).map(|admitted| admitted.bytes)
    } else {
        instrument_open(source)
    }
}

/// Runs the modules with these numbers.
pub(crate) fn make(numbers: Range<u64>, watch: &Watch, pack: &mut Pack) -> Result<()> {
    let engine = machine::engine()?;
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    let mut ends = Ends::new();
    for number in numbers {
        watch.runs(format!("module {number}"));
        let Some(source) = source(number)? else {
            *refused.entry("the generator gave up".to_owned()).or_default() += 1;
            continue;
        };
        let bytes = match admitted(number, &source) {
            Ok(bytes) => bytes,
            Err(error) => {
                *refused.entry(error.reason.to_string()).or_default() += 1;
                continue;
            }
        };
        let mut random = Random::new(!number);
        // Some end out of fuel.
        let mut script = Script::new(&engine, 1000 << (random.next() % 8))?;
        run(&mut script, pack, &mut random, &bytes).with_context(|| format!("module {number}"))?;
        script.count_ends(&mut ends);
        script.finish(pack, &number.to_string())?;
    }
    pack.summary("ends", serde_json::to_value(ends)?);
    pack.summary("refused", serde_json::to_value(refused)?);
    Ok(())
}

fn run(script: &mut Script, pack: &mut Pack, random: &mut Random, bytes: &[u8]) -> Result<()> {
    let (_, number) = script.instantiate(pack, "start".to_owned(), bytes)?;
    let Some(instance) = number else { return Ok(()) };
    let mut calls = Vec::new();
    let exports = script.exports(instance);
    for (export, _) in exports.iter().filter(|(name, _)| name != names::FUEL) {
        let rounds = match script.target(instance, export) {
            None => continue,
            Some(Target::Global(_)) => vec![Vec::new()],
            Some(Target::Function(params, _)) => {
                let args = |_| params.iter().map(|ty| argument(random, *ty)).collect();
                (0..if params.is_empty() { 1 } else { 2 }).map(args).collect()
            }
        };
        for args in rounds {
            let at = format!("{export} {args:?}");
            calls.push((at, Call { instance, export: export.clone(), args }));
        }
    }
    script.calls(pack, calls)?;
    script.memories("end", instance);
    Ok(())
}

/// An argument: often one at the edge of something.
fn argument(random: &mut Random, ty: ValType) -> Constant {
    const EDGES: [u64; 12] = [
        0,
        1,
        u64::MAX,
        i64::MIN as u64,
        i32::MAX as u64,
        0x8000_0000_0000_0001,
        0x7ff8_0000_7fc0_0000,
        0xfff0_0000_ff80_0001,
        0x3ff0_0000_3f80_0000,
        0x43e0_0000_4f00_0000,
        65_535,
        0x8000_0000,
    ];
    let mut bits = || match random.next() {
        any if any % 2 == 0 => EDGES[(any / 2) as usize % EDGES.len()],
        _ => random.next(),
    };
    match ty {
        ValType::I32 => Constant::I32(bits() as i32),
        ValType::I64 => Constant::I64(bits().cast_signed()),
        ValType::F32 => Constant::F32(bits() as u32),
        ValType::F64 => Constant::F64(bits()),
        ValType::V128 => Constant::V128(i128::from(bits()) << 64 | i128::from(bits())),
        ValType::Ref(_) => Constant::NullFunction,
    }
}

/// Writes a module's source and what admission makes of it to files.
pub(crate) fn show(number: u64) -> Result<()> {
    let source = source(number)?.context("the generator gives up on this number")?;
    let files = [("source", Some(source.clone())), ("admitted", admitted(number, &source).ok())];
    for (name, bytes) in files {
        let path = format!("smith-{number}-{name}.wasm");
        match bytes {
            Some(bytes) => std::fs::write(&path, bytes).with_context(|| path.clone())?,
            None => continue,
        }
        println!("{path}");
    }
    Ok(())
}
