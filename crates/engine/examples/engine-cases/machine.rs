//! Instrumented modules in wasmtime, with fuel and stack but without WASI:
//! what the page script-worker.mjs does with a browser's own WebAssembly.

use grid_protocol::{Digest, Files, Runtime, Side, Spec};
use grid_sandbox::{ADMISSION, Control, GuestMemory, Host, names};
use serde::Serialize;
use std::collections::HashMap;
use thiserror::Error;
use wasmtime::{
    Caller, Engine, Extern, Func, Global, GlobalType, Instance, Memory, MemoryType, Module,
    Mutability, Ref, RefType, Store, StoreContextMut, Table, TableType, Trap, Val, ValType,
};

/// Pages that a task module may grow to.
pub(crate) const PAGES: u32 = 20;

/// How entering a module ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Error)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    #[error("it returned")]
    Exit,
    #[error("it trapped")]
    Trap,
    #[error("its fuel was used up")]
    OutOfFuel,
    #[error("its stack was used up")]
    Stack,
    #[error("its imports don't fit")]
    Link,
}

/// wasmtime could not do what it should: a fault, or a limit of this machine.
#[derive(Debug, Error)]
#[error("{0:?}")]
pub(crate) struct Failure(wasmtime::Error);

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self(error)
    }
}

type Result<T> = std::result::Result<T, Failure>;

/// What the store holds: the host of each instance.
#[derive(Default)]
struct State {
    hosts: Vec<Option<Host>>,
}

/// Instances that may import from each other.
pub(crate) struct Machine {
    store: Store<State>,
    limit: u64,
    instances: Vec<Instance>,
    /// What can be imported, by module and name.
    registered: HashMap<(String, String), Extern>,
}

/// An engine as grid_engine configures it.
pub(crate) fn engine() -> Result<Engine> {
    Ok(Engine::new(&grid_engine::config())?)
}

impl Machine {
    /// Every instance may use `limit` fuel.
    pub(crate) fn new(engine: &Engine, limit: u64) -> Result<Self> {
        let mut store = Store::new(engine, State::default());
        let registered = spectest(&mut store)?;
        Ok(Self { store, limit, instances: Vec::new(), registered })
    }

    /// Instantiates; its number, when that ended well.
    pub(crate) fn instantiate(&mut self, bytes: &[u8]) -> Result<(Ended, Option<usize>)> {
        let module = Module::new(self.store.engine(), bytes)?;
        let number = self.instances.len();
        // An instance that failed leaves its host: its number is used again.
        self.store.data_mut().hosts.truncate(number);
        let host = self.host();
        self.store.data_mut().hosts.push(Some(host));
        let own = self.imports_of(number);
        let mut imports = Vec::new();
        for import in module.imports() {
            let found = if import.module() == names::GRID {
                own.get(import.name()).cloned()
            } else {
                let name = (import.module().to_owned(), import.name().to_owned());
                self.registered.get(&name).cloned()
            };
            let Some(found) = found else { return Ok((Ended::Link, None)) };
            imports.push(found);
        }
        match Instance::new(&mut self.store, &module, &imports) {
            Ok(instance) => {
                self.instances.push(instance);
                Ok((Ended::Exit, Some(number)))
            }
            Err(error) if error.is::<Trap>() || error.is::<Ended>() => Ok((ended(error)?, None)),
            Err(_) => Ok((Ended::Link, None)),
        }
    }

    /// Lets others import what an instance exports.
    pub(crate) fn register(&mut self, name: &str, number: usize) {
        let Some(instance) = self.instances.get(number) else { return };
        let exports: Vec<(String, Extern)> = instance
            .exports(&mut self.store)
            .map(|export| (export.name().to_owned(), export.into_extern()))
            .collect();
        for (export, value) in exports {
            self.registered.insert((name.to_owned(), export), value);
        }
    }

    /// An export of an instance.
    pub(crate) fn export(&mut self, number: usize, name: &str) -> Option<Extern> {
        self.instances.get(number)?.get_export(&mut self.store, name)
    }

    /// The exports of an instance by name and type, in the module's order.
    pub(crate) fn exports(&mut self, number: usize) -> Vec<(String, Extern)> {
        let Some(instance) = self.instances.get(number) else { return Vec::new() };
        let exports = instance.exports(&mut self.store);
        exports.map(|export| (export.name().to_owned(), export.into_extern())).collect()
    }

    /// The store, to ask for types and values.
    pub(crate) fn store(&mut self) -> StoreContextMut<'_, impl Sized + use<>> {
        use wasmtime::AsContextMut;
        self.store.as_context_mut()
    }

    /// A module of ours around the instances: not instrumented, no fuel.
    pub(crate) fn wrapper(&mut self, bytes: &[u8], imports: &[Extern]) -> Result<Instance> {
        let module = Module::new(self.store.engine(), bytes)?;
        Ok(Instance::new(&mut self.store, &module, imports)?)
    }

    /// Calls `() -> ()` of a wrapper, all fuel and stack anew: how that ended,
    /// and the fuel that all instances used.
    pub(crate) fn call(&mut self, wrapper: &Instance, name: &str) -> Result<(Ended, u64)> {
        for number in 0..self.instances.len() {
            if let Some(Extern::Global(fuel)) = self.export(number, names::FUEL) {
                fuel.set(&mut self.store, Val::I64(0))?;
                self.store.data_mut().hosts[number] = Some(self.host());
            }
        }
        let run = wrapper.get_typed_func::<(), ()>(&mut self.store, name)?;
        let ended = match run.call(&mut self.store, ()) {
            Ok(()) => Ended::Exit,
            Err(error) => ended(error)?,
        };
        let used = (0..self.instances.len()).map(|number| self.used(number)).collect::<Vec<_>>();
        // As `Host::finish`: code may come to another end before it looks.
        if ended == Ended::OutOfFuel || used.iter().any(|used| *used > self.limit) {
            return Ok((Ended::OutOfFuel, self.limit));
        }
        Ok((ended, used.iter().sum()))
    }

    /// Fuel that an instance used since it was made, or since the last call.
    pub(crate) fn used(&mut self, number: usize) -> u64 {
        let Some(Extern::Global(fuel)) = self.export(number, names::FUEL) else { return 0 };
        let left = fuel.get(&mut self.store).i64().unwrap_or_default();
        let host = self.store.data().hosts.get(number).and_then(Option::as_ref);
        host.map_or(0, |host| host.used(left))
    }

    fn host(&self) -> Host {
        Host::new(&spec(self.limit), Files::new(Side::Input))
    }

    /// Contents of an exported memory.
    pub(crate) fn memory(&mut self, memory: Memory) -> &mut [u8] {
        memory.data_mut(&mut self.store)
    }

    /// What instrumentation imports, for the instance with this number.
    fn imports_of(&mut self, number: usize) -> HashMap<&'static str, Extern> {
        let store = &mut self.store;
        let refill = Func::wrap(&mut *store, move |mut caller: Caller<'_, State>, left: i64| {
            let host = host(&mut caller, number)?;
            resume(host.refill(left, u64::MAX), Ended::OutOfFuel)
        });
        let grow = Func::wrap(&mut *store, move |mut caller: Caller<'_, State>, pages: i32| {
            let exports = (caller.get_export(names::MEMORY), caller.get_export(names::FUEL));
            let (Some(Extern::Memory(memory)), Some(Extern::Global(fuel))) = exports else {
                return Err(wasmtime::Error::msg("no memory to grow"));
            };
            let mut host = caller.data_mut().hosts[number].take().ok_or(Ended::Link)?;
            let mut guest = Guest { caller, memory, fuel };
            let control = host.grow(&mut guest, pages.cast_unsigned());
            guest.caller.data_mut().hosts[number] = Some(host);
            resume(control, Ended::OutOfFuel)
        });
        let overflow = Func::wrap(&mut *store, |_: Caller<'_, State>| -> wasmtime::Result<()> {
            Err(wasmtime::Error::new(Ended::Stack))
        });
        [(names::REFILL, refill), (names::GROW, grow), (names::STACK_OVERFLOW, overflow)]
            .map(|(name, func)| (name, Extern::Func(func)))
            .into()
    }
}

fn host<'a>(caller: &'a mut Caller<'_, State>, number: usize) -> wasmtime::Result<&'a mut Host> {
    let host = caller.data_mut().hosts.get_mut(number).and_then(Option::as_mut);
    host.ok_or_else(|| wasmtime::Error::msg("no host"))
}

fn resume<T>(control: Control<T>, end: Ended) -> wasmtime::Result<T> {
    match control {
        Control::Resume(value) => Ok(value),
        Control::End => Err(wasmtime::Error::new(end)),
    }
}

/// What an error from wasmtime means; a limit of this machine is an error.
fn ended(error: wasmtime::Error) -> Result<Ended> {
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return Ok(*ended);
    }
    match error.downcast_ref::<Trap>() {
        None | Some(Trap::StackOverflow) => Err(error.into()),
        Some(_) => Ok(Ended::Trap),
    }
}

fn spec(fuel: u64) -> Spec {
    Spec {
        runtime: Runtime::Wasm,
        arithmetic: 0,
        source: Digest::ZERO,
        module: Digest::ZERO,
        admission: ADMISSION,
        args: Vec::new(),
        env: Vec::new(),
        seed: [0; 32],
        input: Digest::ZERO,
        fuel,
        memory_pages: PAGES,
        output_bytes: 0,
    }
}

struct Guest<'a> {
    caller: Caller<'a, State>,
    memory: Memory,
    fuel: Global,
}

impl GuestMemory for Guest<'_> {
    fn size(&self) -> u64 {
        self.memory.data_size(&self.caller) as u64
    }

    fn read(&self, at: u32, into: &mut [u8]) {
        let at = at as usize;
        into.copy_from_slice(&self.memory.data(&self.caller)[at..at + into.len()]);
    }

    fn write(&mut self, at: u32, bytes: &[u8]) {
        let at = at as usize;
        self.memory.data_mut(&mut self.caller)[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn grow(&mut self, delta: u32) -> bool {
        self.memory.grow(&mut self.caller, delta.into()).is_ok()
    }

    fn fuel(&mut self) -> i64 {
        self.fuel.get(&mut self.caller).i64().unwrap_or_default()
    }

    fn set_fuel(&mut self, fuel: i64) {
        let set = self.fuel.set(&mut self.caller, Val::I64(fuel));
        set.expect("admission makes it a mutable i64");
    }
}

/// The module `spectest` that the core tests import from.
fn spectest(store: &mut Store<State>) -> Result<HashMap<(String, String), Extern>> {
    let mut exports: Vec<(&str, Extern)> = Vec::new();
    for (name, value) in [
        ("global_i32", Val::I32(666)),
        ("global_i64", Val::I64(666)),
        ("global_f32", Val::F32(666.6f32.to_bits())),
        ("global_f64", Val::F64(666.6f64.to_bits())),
    ] {
        let ty = GlobalType::new(value.ty(&*store)?, Mutability::Const);
        exports.push((name, Global::new(&mut *store, ty, value)?.into()));
    }
    let table = TableType::new(RefType::FUNCREF, 10, Some(20));
    exports.push(("table", Table::new(&mut *store, table, Ref::Func(None))?.into()));
    exports.push(("memory", Memory::new(&mut *store, MemoryType::new(1, Some(2)))?.into()));
    let prints: [(&str, &[ValType]); 7] = [
        ("print", &[]),
        ("print_i32", &[ValType::I32]),
        ("print_i64", &[ValType::I64]),
        ("print_f32", &[ValType::F32]),
        ("print_f64", &[ValType::F64]),
        ("print_i32_f32", &[ValType::I32, ValType::F32]),
        ("print_f64_f64", &[ValType::F64, ValType::F64]),
    ];
    for (name, params) in prints {
        let ty = wasmtime::FuncType::new(store.engine(), params.iter().cloned(), []);
        exports.push((name, Func::new(&mut *store, ty, |_, _, _| Ok(())).into()));
    }
    let named = |(name, value): (&str, Extern)| (("spectest".to_owned(), name.to_owned()), value);
    Ok(exports.into_iter().map(named).collect())
}
