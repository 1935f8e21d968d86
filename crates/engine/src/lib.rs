//! Runs admitted modules natively in wasmtime: the same bytes and the same
//! fuel as in a browser, for `grid run` and for a relay that checks.
//!
//! What a module sees is all in [`grid_sandbox::Host`]; this crate only
//! connects it to wasmtime.

mod guest;

use grid_protocol::{Files, Spec};
use grid_sandbox::{Control, Host, Outcome, names};
use guest::{OnSlice, State};
use std::ops::ControlFlow;
use std::sync::Arc;
use thiserror::Error;
use wasmtime::{AsContextMut, Config, ExternType, InstancePre, Linker, Mutability, Store, Trap};
use wasmtime::{WasmBacktraceDetails, WasmFeatures};

/// Fuel between two calls of `on_slice`.
pub const SLICE: u64 = 50_000_000;

/// Stack that wasmtime lets a module have: over four times what admission
/// lets it charge, and inside the 2 MiB that Rust gives a thread.
const STACK: usize = 1024 * 1024;

/// Why there is no outcome.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The bytes are not a module that admission made.
    #[error("not an admitted module: {0}")]
    NotAdmitted(String),
    /// This machine could not do what the spec allows.
    #[error("a limit of this machine: {0}")]
    Device(String),
    /// The caller's `on_slice` stopped the run.
    #[error("stopped by the caller")]
    Stopped,
}

/// A wasmtime engine, configured for admitted modules. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Arc<Linker<State>>,
}

/// An admitted module, compiled. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    instance: InstancePre<State>,
}

/// How wasmtime is configured for admitted modules, here and in whatever is
/// compared with it.
pub fn config() -> Config {
    // What admission takes (grid_sandbox::admission::FEATURES).
    let used = WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::FLOATS;
    let mut config = Config::new();
    config
        .wasm_features(WasmFeatures::WASM3.difference(used), false)
        .wasm_features(used, true)
        .max_wasm_stack(STACK)
        .wasm_backtrace_max_frames(None)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

impl Engine {
    /// An engine. Fails only where wasmtime can't run at all.
    pub fn new() -> Result<Self, EngineError> {
        let engine = wasmtime::Engine::new(&config()).map_err(device)?;
        let linker = Arc::new(guest::linker(&engine).map_err(device)?);
        Ok(Self { engine, linker })
    }

    /// Compiles an admitted module: seconds for a large one.
    pub fn load(&self, admitted: &[u8]) -> Result<Module, EngineError> {
        let refused = |error: wasmtime::Error| EngineError::NotAdmitted(format!("{error:#}"));
        let module = wasmtime::Module::new(&self.engine, admitted).map_err(refused)?;
        let fuel = match module.get_export(names::FUEL) {
            Some(ExternType::Global(ty)) => {
                ty.content().is_i64() && ty.mutability() == Mutability::Var
            }
            _ => false,
        };
        let start = match module.get_export(names::START) {
            Some(ExternType::Func(ty)) => ty.params().len() == 0 && ty.results().len() == 0,
            _ => false,
        };
        let memory = matches!(module.get_export(names::MEMORY), Some(ExternType::Memory(_)));
        if !(fuel && start && memory) {
            let why = "an export that admission makes is missing";
            return Err(EngineError::NotAdmitted(why.into()));
        }
        let instance = self.linker.instantiate_pre(&module).map_err(refused)?;
        Ok(Module { instance })
    }

    /// Runs a task on this thread, which needs 1 MiB of stack and a little more.
    /// `on_slice` is called with the fuel used so far about every [`SLICE`]
    /// fuel; it may stop the run. The result does not depend on it.
    pub fn run(
        &self,
        module: &Module,
        spec: &Spec,
        input: Files,
        on_slice: impl FnMut(u64) -> ControlFlow<()> + 'static,
    ) -> Result<Outcome, EngineError> {
        self.run_sliced(module, spec, input, SLICE, Box::new(on_slice))
    }

    fn run_sliced(
        &self,
        module: &Module,
        spec: &Spec,
        input: Files,
        slice: u64,
        on_slice: OnSlice,
    ) -> Result<Outcome, EngineError> {
        let state = State::new(Host::new(spec, input), slice, on_slice);
        let mut store = Store::new(&self.engine, state);
        let instance = module.instance.instantiate(&mut store).map_err(device)?;
        let missing = || EngineError::NotAdmitted("an export is missing".into());
        if !guest::connect(store.as_context_mut(), &instance) {
            return Err(missing());
        }
        let ready = guest::with_host(store.as_context_mut(), |host, guest| host.start(guest));
        if ready.ok_or_else(missing)? == Control::Resume(()) {
            let start = instance.get_typed_func::<(), ()>(&mut store, names::START);
            let result = start.map_err(|_| missing())?.call(&mut store, ());
            if store.data().stopped {
                return Err(EngineError::Stopped);
            }
            if let (Err(error), Some(host)) = (result, store.data_mut().host.as_mut())
                && !host.ended()
            {
                host.trap(trap_text(&error).ok_or_else(|| device(error))?);
            }
        }
        let host = store.data_mut().host.take().ok_or_else(missing)?;
        let finished = guest::with_guest(store.as_context_mut(), |guest| host.finish(guest));
        finished.ok_or_else(missing)?.map_err(|limit| EngineError::Device(limit.to_string()))
    }
}

/// What wasmtime says of a trap that the specification of WebAssembly knows;
/// None for what is a limit of the machine.
fn trap_text(error: &wasmtime::Error) -> Option<&'static str> {
    Some(match error.downcast_ref::<Trap>()? {
        Trap::UnreachableCodeReached => "unreachable instruction",
        Trap::MemoryOutOfBounds => "memory access out of bounds",
        Trap::TableOutOfBounds => "table access out of bounds",
        Trap::IndirectCallToNull => "indirect call of an empty table element",
        Trap::BadSignature => "indirect call of a function of another type",
        Trap::IntegerOverflow => "integer overflow",
        Trap::IntegerDivisionByZero => "integer division by zero",
        Trap::BadConversionToInteger => "float has no integer value",
        _ => return None,
    })
}

fn device(error: wasmtime::Error) -> EngineError {
    EngineError::Device(format!("{error:#}"))
}

#[cfg(test)]
mod tests;
