//! Admission changes nothing that a module computes: random modules end the
//! same way, with the same memory, as they came and admitted.

use super::*;
use wasm_smith::Config;
use wasmtime::{Caller, Extern, Instance, Linker, Store, StoreLimits, StoreLimitsBuilder, Trap};

/// Modules tried; each is a function of its number.
const MODULES: u64 = 600;
const PAGES: usize = 20;

/// A random module that ends by itself, or None where the generator gives up.
fn random_module(number: u64) -> Option<Vec<u8>> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(4000)
    .flatten()
    .collect();
    let shape = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    let config = Config {
        exports: Some(wat::parse_str(shape).unwrap()),
        max_imports: 0,
        allow_start_export: false,
        max_data_segments: 3,
        max_instructions: 300,
        max_tables: 1,
        max_table_elements: 1000,
        min_funcs: 4,
        min_tables: 1,
        min_element_segments: 2,
        compact_imports_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        reference_types_enabled: false,
        memory64_enabled: false,
        max_memories: 1,
        wide_arithmetic_enabled: false,
        ..Config::default()
    };
    let mut unstructured = arbitrary::Unstructured::new(&bytes);
    let mut module = wasm_smith::Module::new(config, &mut unstructured).ok()?;
    module.ensure_termination(1000).ok()?;
    Some(module.to_bytes())
}

/// How a run ended, and the memory that it left.
type End = (Result<(), Option<Trap>>, Vec<u8>);

/// Makes NaNs canonical by itself: what admission does must be the same.
static CANONICAL: LazyLock<wasmtime::Engine> = LazyLock::new(|| {
    let mut config = wasmtime::Config::new();
    wasmtime::Engine::new(config.cranelift_nan_canonicalization(true)).unwrap()
});

/// Runs without Grid's host; the same memory limit for both.
fn execute(engine: &wasmtime::Engine, bytes: &[u8]) -> End {
    let module = wasmtime::Module::new(engine, bytes).unwrap();
    let mut linker: Linker<StoreLimits> = Linker::new(engine);
    linker.func_wrap("grid", "refill", |_: i64| 1i64 << 50).unwrap();
    linker
        .func_wrap("grid", "stack_overflow", || {
            wasmtime::Result::<()>::Err(wasmtime::Error::new(Trap::StackOverflow))
        })
        .unwrap();
    linker
        .func_wrap("grid", "grow", |mut caller: Caller<'_, StoreLimits>, pages: i32| {
            let Some(Extern::Memory(memory)) = caller.get_export("memory") else { panic!() };
            memory.grow(&mut caller, pages.cast_unsigned().into()).map_or(-1, |old| old as i32)
        })
        .unwrap();
    let limits = StoreLimitsBuilder::new().memory_size(PAGES << 16).build();
    let mut store = Store::new(engine, limits);
    store.limiter(|limits| limits);
    let instance: Instance = linker.instantiate(&mut store, &module).unwrap();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
    let result = start.call(&mut store, ()).map_err(|error| error.downcast_ref::<Trap>().copied());
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    (result, memory.data(&store).to_vec())
}

#[test]
fn random_modules_end_the_same() {
    let (mut returned, mut trapped) = (0, 0);
    for number in 0..MODULES {
        let Some(source) = random_module(number) else { continue };
        // The generator likes a second memory, and segments outside.
        let Ok(admitted) = admit(&source) else { continue };
        let (expect, got) =
            (execute(&CANONICAL, &source), execute(&ENGINE.engine, &admitted.bytes));
        // Stack is another limit by design.
        if [&expect, &got].iter().any(|end| end.0 == Err(Some(Trap::StackOverflow))) {
            continue;
        }
        assert!(expect == got, "module {number}: {:?} became {:?}", expect.0, got.0);
        if expect.0.is_ok() {
            returned += 1
        } else {
            trapped += 1
        }

        let module = ENGINE.load(&admitted.bytes).unwrap();
        let spec = Spec { fuel: 200_000, ..spec() };
        let whole = run_slice(&module, &spec, u64::MAX);
        for slice in [1, 7, 1000] {
            assert_eq!(run_slice(&module, &spec, slice), whole, "module {number}, slice {slice}");
        }
        let half = Spec { fuel: whole.fuel / 2 + 1, ..spec };
        let expect = run_slice(&module, &half, u64::MAX);
        for slice in [1, 1000] {
            assert_eq!(run_slice(&module, &half, slice), expect, "module {number}, slice {slice}");
        }
    }
    assert!(returned > 50 && trapped > 50, "too few to say anything: {returned}, {trapped}");
}
