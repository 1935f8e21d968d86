//! Admission and the WASI host.

use arbitrary::Unstructured;
use grid_protocol::limits::MAX_ADMITTED;
use grid_sandbox::admission::{FEATURES, instrument_open};
use grid_sandbox::{admit, host::fuzz, names};
use wasm_smith::{Config, Module};
use wasmparser::{Parser, Payload, Validator};

/// Any bytes as a module, as a task module and with open exports. What is
/// admitted is valid, imports nothing else, and comes out the same again.
pub fn admission(source: &[u8]) -> bool {
    if let Ok(open) = instrument_open(source) {
        valid(&open);
    }
    let admitted = admit(source);
    assert_eq!(admit(source), admitted, "admission is not deterministic");
    let Ok(admitted) = admitted else { return false };
    valid(source);
    valid(&admitted.bytes);
    assert!(admitted.bytes.len() <= MAX_ADMITTED);
    for payload in Parser::new(0).parse_all(&admitted.bytes) {
        match payload.expect("it is valid") {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let module = import.expect("it is valid").module;
                    assert!([names::WASI, names::GRID].contains(&module), "imports {module}");
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let name = export.expect("it is valid").name;
                    let known = [names::START, names::MEMORY, names::FUEL];
                    assert!(known.contains(&name), "exports {name}");
                }
            }
            Payload::StartSection { .. } => panic!("a start section is left"),
            Payload::CustomSection(section) => panic!("section {:?} is left", section.name()),
            _ => {}
        }
    }
    true
}

fn valid(module: &[u8]) {
    let result = Validator::new_with_features(FEATURES).validate_all(module);
    assert!(result.is_ok(), "{:?}", result.err());
}

/// Seeds of [`admission`].
pub fn modules() -> Vec<Vec<u8>> {
    let modules = [
        r#"(module (memory (export "memory") 1) (func (export "_start")))"#,
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1 3)
            (global $g (mut i32) (i32.const 7))
            (table 4 funcref)
            (elem (i32.const 1) func $f $f)
            (data (i32.const 8) "\10\00\00\00\05\00\00\00hello")
            (type $t (func (param i32) (result i32)))
            (func $f (type $t) (i32.add (local.get 0) (memory.grow (i32.const 1))))
            (func (export "_start") (local $i i32) (local $x f64)
                (block $out
                    (loop $next
                        (br_if $out (i32.ge_u (local.get $i) (i32.const 10)))
                        (local.set $x (f64.sqrt (f64.sub (local.get $x) (f64.const 1))))
                        (local.set $i (i32.add (local.get $i) (i32.const 1)))
                        (br $next)))
                (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
                (memory.fill (i32.const 64) (i32.const 1) (local.get $i))
                (global.set $g (call_indirect (type $t) (local.get $i) (i32.const 1)))
                (if (global.get $g) (then (call $exit (i32.const 3))) (else unreachable))))"#,
        r#"(module (memory (export "memory") 1)
            (func (export "_start")
                (v128.store (i32.const 0)
                    (f32x4.add (v128.load (i32.const 16)) (f32x4.splat (f32.const nan))))
                (block (block (block (br_table 0 1 2 (i32.load (i32.const 0))))))
                (memory.copy (i32.const 0) (i32.const 8) (i32.const 4))))"#,
    ];
    modules.map(|text| wat::parse_str(text).expect("sound text")).into()
}

/// A module that is valid, made from bytes: mostly a task module.
pub fn module(bytes: &[u8]) -> bool {
    let mut source = Unstructured::new(bytes);
    let shape = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    let imports = r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#;
    let config = Config {
        exports: Some(wat::parse_str(shape).expect("sound text")),
        available_imports: Some(wat::parse_str(imports).expect("sound text")),
        max_imports: 3,
        allow_start_export: false,
        max_memories: 1,
        max_memory32_bytes: 1 << 26,
        max_tables: 2,
        max_table_elements: 1000,
        memory_offset_choices: wasm_smith::MemoryOffsetChoices(90, 9, 1),
        compact_imports_enabled: false,
        custom_page_sizes_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        reference_types_enabled: true,
        relaxed_simd_enabled: false,
        shared_everything_threads_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    };
    let Ok(module) = Module::new(config, &mut source) else { return false };
    admission(&module.to_bytes())
}

/// Seeds of [`module`].
pub fn module_seeds() -> Vec<Vec<u8>> {
    let noise = |number: u64| {
        let mut random = crate::mutate::Random::new(number);
        std::iter::repeat_with(|| random.next().to_le_bytes()).take(120).flatten().collect()
    };
    (0..200).map(noise).filter(|bytes: &Vec<u8>| module(bytes)).take(4).collect()
}

/// What a module does, call by call.
pub fn host(bytes: &[u8]) -> bool {
    fuzz::drive(bytes);
    true
}

/// Seeds of [`host`]: each function in turn, and noise.
pub fn host_seeds() -> Vec<Vec<u8>> {
    let header = [7, 0, 0, 0, 0];
    let each = |argument: u8| {
        let calls = (0..46).flat_map(|function| [function].into_iter().chain([argument; 9]));
        header.into_iter().chain(calls).collect::<Vec<u8>>()
    };
    let mut random = crate::mutate::Random::new(1);
    let noise = std::iter::repeat_with(|| random.next().to_le_bytes()).take(60).flatten();
    vec![each(4), each(44), each(160), header.into_iter().chain(noise).collect()]
}
