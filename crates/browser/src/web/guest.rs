//! The nested instance: what it imports, its memory and its fuel.

use grid_sandbox::{GuestMemory, names};
use js_sys::WebAssembly::{Global, Instance, Memory, Module};
use js_sys::{Array, BigInt, Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// JavaScript Promise Integration: an import that may suspend the module.
    type Suspending;
    #[wasm_bindgen(constructor, js_namespace = WebAssembly)]
    fn new(import: &JsValue) -> Suspending;
    /// The export as a function that returns a promise.
    #[wasm_bindgen(js_namespace = WebAssembly)]
    fn promising(export: &Function) -> Function;
    /// From worker-scripts/executor-worker.js: a function of any number of
    /// arguments, which passes them on as one array.
    fn variadic(function: &JsValue) -> JsValue;
}

/// An import of a module: where from, its name, and whether it is a function.
pub(crate) struct Import {
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) function: bool,
}

/// What the module imports.
pub(crate) fn imports_of(module: &Module) -> Vec<Import> {
    let text = |of: &JsValue, key: &str| {
        Reflect::get(of, &key.into()).ok().and_then(|value| value.as_string()).unwrap_or_default()
    };
    let import = |of: JsValue| Import {
        module: text(&of, "module"),
        name: text(&of, "name"),
        function: text(&of, "kind") == "function",
    };
    Module::imports(module).iter().map(import).collect()
}

/// A function that the module calls with any number of arguments.
type Variadic = Closure<dyn FnMut(Array) -> Result<i32, JsValue>>;
/// A function on whose promise the module sleeps.
pub(crate) type SuspendingImport = Closure<dyn FnMut(i64) -> Result<JsValue, JsValue>>;

/// An import object, and the closures that it points to.
pub(crate) struct Imports {
    pub(crate) object: Object,
    _variadic: Vec<Variadic>,
    _suspending: Vec<SuspendingImport>,
}

impl Imports {
    pub(crate) fn new() -> Self {
        Self { object: Object::new(), _variadic: Vec::new(), _suspending: Vec::new() }
    }

    /// An import that gets its arguments as one array.
    pub(crate) fn variadic(
        &mut self,
        import: &Import,
        function: impl FnMut(Array) -> Result<i32, JsValue> + 'static,
    ) {
        let closure = Closure::new(function);
        self.define(import, &variadic(closure.as_ref()));
        self._variadic.push(closure);
    }

    /// An import that may return a promise, on which the module sleeps.
    pub(crate) fn suspending(&mut self, import: &Import, closure: SuspendingImport) {
        self.define(import, &Suspending::new(closure.as_ref()));
        self._suspending.push(closure);
    }

    fn define(&self, import: &Import, value: &JsValue) {
        let module = JsValue::from(import.module.as_str());
        let inner = match Reflect::get(&self.object, &module) {
            Ok(inner) if inner.is_object() => inner,
            _ => Object::new().into(),
        };
        let _ = Reflect::set(&inner, &import.name.as_str().into(), value);
        let _ = Reflect::set(&self.object, &module, &inner);
    }
}

/// The arguments of an import, i32 zero-extended.
pub(crate) fn arguments(array: &Array) -> Vec<u64> {
    let number = |value: JsValue| match value.as_f64() {
        Some(number) => u64::from(number as i64 as u32),
        None => i64::try_from(value).unwrap_or_default() as u64,
    };
    array.iter().map(number).collect()
}

/// A running instance.
pub(crate) struct Guest {
    memory: Memory,
    /// All of the memory. It grows through [`Guest::grow`] only, which renews
    /// this; were it grown behind our back, the view would be empty.
    view: Uint8Array,
    fuel: Global,
    start: Function,
}

impl Guest {
    /// Takes the exports that an admitted module has; `None` when they are
    /// not there or of another kind.
    pub(crate) fn new(instance: &Instance) -> Option<Self> {
        let exports = instance.exports();
        let get = |name: &str| Reflect::get(&exports, &name.into()).ok();
        let memory = get(names::MEMORY)?.dyn_into::<Memory>().ok()?;
        let fuel = get(names::FUEL)?.dyn_into::<Global>().ok()?;
        let start = get(names::START)?.dyn_into::<Function>().ok()?;
        fuel.value().is_bigint().then_some(())?;
        Some(Self { view: Uint8Array::new(&memory.buffer()), memory, fuel, start })
    }

    /// The entry function, on a stack that can be suspended.
    pub(crate) fn start(&self) -> impl FnOnce() -> Result<Promise, JsValue> + use<> {
        let start = promising(&self.start);
        move || start.call0(&JsValue::UNDEFINED)?.dyn_into()
    }
}

impl GuestMemory for Guest {
    fn size(&self) -> u64 {
        u64::from(self.view.length())
    }

    fn read(&self, at: u32, into: &mut [u8]) {
        self.view.subarray(at, at.saturating_add(into.len() as u32)).copy_to(into);
    }

    fn write(&mut self, at: u32, bytes: &[u8]) {
        self.view.subarray(at, at.saturating_add(bytes.len() as u32)).copy_from(bytes);
    }

    fn grow(&mut self, delta: u32) -> bool {
        // js-sys' own binding doesn't catch the RangeError.
        let grow = Reflect::get(&self.memory, &"grow".into()).unwrap_or_default();
        let grow = grow.dyn_into::<Function>();
        let grown = grow.is_ok_and(|grow| grow.call1(&self.memory, &delta.into()).is_ok());
        self.view = Uint8Array::new(&self.memory.buffer());
        grown
    }

    fn fuel(&mut self) -> i64 {
        i64::try_from(self.fuel.value()).unwrap_or_default()
    }

    fn set_fuel(&mut self, fuel: i64) {
        self.fuel.set_value(&BigInt::from(fuel));
    }
}
