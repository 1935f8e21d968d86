//! Connects the sandbox's host to wasmtime.

use grid_sandbox::{Control, GuestMemory, Host, ValueType, WasiFunction, names};
use std::ops::ControlFlow;
use thiserror::Error;
use wasmtime::{
    AsContextMut, Caller, FuncType, Global, Instance, Linker, Memory, StoreContextMut, Val, ValType,
};

/// Called with the fuel used so far; may stop the run.
pub(crate) type OnSlice = Box<dyn FnMut(u64) -> ControlFlow<()>>;

/// What a store holds.
pub(crate) struct State {
    /// None only while the host handles a call, or once it was taken out.
    pub(crate) host: Option<Host>,
    exports: Option<(Memory, Global)>,
    slice: u64,
    on_slice: OnSlice,
    pub(crate) stopped: bool,
}

/// Unwinds a module whose run is over, or was stopped.
#[derive(Debug, Error)]
#[error("the run is over")]
struct Unwind;

impl State {
    pub(crate) fn new(host: Host, slice: u64, on_slice: OnSlice) -> Self {
        Self { host: Some(host), exports: None, slice, on_slice, stopped: false }
    }
}

/// A running instance as the host sees it.
pub(crate) struct Guest<'a> {
    store: StoreContextMut<'a, State>,
    memory: Memory,
    fuel: Global,
}

impl GuestMemory for Guest<'_> {
    fn size(&self) -> u64 {
        self.memory.data_size(&self.store) as u64
    }

    fn read(&self, at: u32, into: &mut [u8]) {
        let at = at as usize;
        into.copy_from_slice(&self.memory.data(&self.store)[at..at + into.len()]);
    }

    fn write(&mut self, at: u32, bytes: &[u8]) {
        let at = at as usize;
        self.memory.data_mut(&mut self.store)[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn grow(&mut self, delta: u32) -> bool {
        self.memory.grow(&mut self.store, delta.into()).is_ok()
    }

    fn fuel(&mut self) -> i64 {
        self.fuel.get(&mut self.store).i64().unwrap_or(0)
    }

    fn set_fuel(&mut self, fuel: i64) {
        let set = self.fuel.set(&mut self.store, Val::I64(fuel));
        set.expect("`load` checked that the global is a mutable i64");
    }
}

/// Notes the exports that the host needs; false when one is missing.
pub(crate) fn connect(mut store: StoreContextMut<'_, State>, instance: &Instance) -> bool {
    let memory = instance.get_memory(&mut store, names::MEMORY);
    let fuel = instance.get_global(&mut store, names::FUEL);
    let exports = memory.zip(fuel);
    store.data_mut().exports = exports;
    exports.is_some()
}

/// Lets the host work on the instance of a store. None before [`connect`].
pub(crate) fn with_host<T>(
    mut store: StoreContextMut<'_, State>,
    work: impl FnOnce(&mut Host, &mut Guest<'_>) -> T,
) -> Option<T> {
    let mut host = store.data_mut().host.take()?;
    let result = with_guest(store.as_context_mut(), |guest| work(&mut host, guest));
    store.data_mut().host = Some(host);
    result
}

/// Lets a host that was taken out work on the instance of a store. None before
/// [`connect`].
pub(crate) fn with_guest<T>(
    store: StoreContextMut<'_, State>,
    work: impl FnOnce(&mut Guest<'_>) -> T,
) -> Option<T> {
    let (memory, fuel) = store.data().exports?;
    Some(work(&mut Guest { store, memory, fuel }))
}

fn resume<T>(control: Option<Control<T>>) -> wasmtime::Result<T> {
    match control {
        Some(Control::Resume(value)) => Ok(value),
        _ => Err(wasmtime::Error::new(Unwind)),
    }
}

/// Every import that an admitted module may have.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    for &function in WasiFunction::ALL {
        let params = function.params().iter().map(|ty| match ty {
            ValueType::I32 => ValType::I32,
            ValueType::I64 => ValType::I64,
        });
        let results = function.returns_errno().then_some(ValType::I32);
        let ty = FuncType::new(engine, params, results);
        linker.func_new(names::WASI, function.name(), ty, move |mut caller, params, results| {
            let args: Vec<u64> = params.iter().map(bits).collect();
            let called =
                with_host(caller.as_context_mut(), |host, guest| host.call(guest, function, &args));
            let errno = resume(called)?;
            if let [result] = results {
                *result = Val::I32(errno);
            }
            Ok(())
        })?;
    }
    linker.func_wrap(names::GRID, names::REFILL, refill)?;
    linker.func_wrap(names::GRID, names::GROW, |mut caller: Caller<'_, State>, pages: i32| {
        resume(with_host(caller.as_context_mut(), |host, guest| {
            host.grow(guest, pages.cast_unsigned())
        }))
    })?;
    linker.func_wrap(names::GRID, names::STACK_OVERFLOW, |mut caller: Caller<'_, State>| {
        resume(with_host(caller.as_context_mut(), |host, _| host.stack_overflow()))
    })?;
    Ok(linker)
}

fn refill(mut caller: Caller<'_, State>, remaining: i64) -> wasmtime::Result<i64> {
    let state = caller.data_mut();
    let slice = state.slice;
    let used = state.host.as_ref().map_or(0, |host| host.used(remaining));
    if (state.on_slice)(used).is_break() {
        state.stopped = true;
        return Err(wasmtime::Error::new(Unwind));
    }
    resume(with_host(caller.as_context_mut(), |host, _| host.refill(remaining, slice)))
}

/// A parameter as the host takes it: an i32 zero-extended.
fn bits(value: &Val) -> u64 {
    match value {
        Val::I32(value) => value.cast_unsigned().into(),
        Val::I64(value) => value.cast_unsigned(),
        _ => 0,
    }
}
