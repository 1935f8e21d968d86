//! The forms of a module that are compared: as compiled, admitted, under
//! wasmtime's own fuel, and metered by wasm-instrument.

use super::host::{self, State};
use grid_sandbox::names;
use std::time::{Duration, Instant};
use wasm_instrument::gas_metering::{self, ConstantCostRules, mutable_global};
use wasm_instrument::parity_wasm::elements;
use wasmtime::error::Context;
use wasmtime::{Config, Engine, InstancePre, Module, Result, Store, Val, format_err};

/// Gas that no run uses up.
const PLENTY: i64 = i64::MAX / 2;
/// Fuel that admitted modules are granted at a time: no run uses it up.
const GRANT: i64 = 1 << 40;
/// The global in which wasm-instrument keeps what is left.
const GAS: &str = "gas_left";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// As the compiler made it.
    Raw,
    /// What admission makes of it.
    Admitted,
    /// As the compiler made it, counted by wasmtime.
    WasmtimeFuel,
    /// Lowered by binaryen to what wasm-instrument reads.
    Lowered,
    /// That, metered by wasm-instrument in a mutable global.
    WasmInstrument,
}

impl Variant {
    pub(crate) const ALL: [Self; 5] =
        [Self::Raw, Self::Admitted, Self::WasmtimeFuel, Self::Lowered, Self::WasmInstrument];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Admitted => "admitted",
            Self::WasmtimeFuel => "wasmtime_fuel",
            Self::Lowered => "lowered",
            Self::WasmInstrument => "wasm_instrument",
        }
    }

    /// Whether it can't take every module.
    pub(crate) fn may_refuse(self) -> bool {
        matches!(self, Self::Lowered | Self::WasmInstrument)
    }
}

pub(crate) struct Engines {
    plain: Engine,
    fuelled: Engine,
}

/// A compiled module.
pub(crate) struct Ready {
    instance: InstancePre<State>,
    variant: Variant,
}

impl Engines {
    pub(crate) fn new() -> Result<Self> {
        let plain = Engine::new(&Config::new())?;
        let fuelled = Engine::new(Config::new().consume_fuel(true))?;
        Ok(Self { plain, fuelled })
    }

    pub(crate) fn prepare(
        &self,
        variant: Variant,
        source: &[u8],
        admitted: &[u8],
        lowered: Option<&[u8]>,
    ) -> Result<Ready> {
        let lowered = || lowered.context("binaryen could not lower it");
        let engine = if variant == Variant::WasmtimeFuel { &self.fuelled } else { &self.plain };
        let module = match variant {
            Variant::Raw | Variant::WasmtimeFuel => Module::new(engine, source)?,
            Variant::Admitted => Module::new(engine, admitted)?,
            Variant::Lowered => {
                // Nothing to compare with where wasm-instrument refuses it.
                instrument(lowered()?)?;
                Module::new(engine, lowered()?)?
            }
            Variant::WasmInstrument => Module::new(engine, instrument(lowered()?)?)?,
        };
        let instance = host::linker(engine)?.instantiate_pre(&module)?;
        Ok(Ready { instance, variant })
    }
}

fn instrument(module: &[u8]) -> Result<Vec<u8>> {
    let module = elements::Module::from_bytes(module)
        .map_err(|error| format_err!("wasm-instrument can't read it: {error}"))?;
    let rules = ConstantCostRules::default();
    let metered = gas_metering::inject(module, mutable_global::Injector::new(GAS), &rules)
        .map_err(|_| format_err!("wasm-instrument can't meter it"))?;
    elements::serialize(metered).map_err(|error| format_err!("wasm-instrument: {error}"))
}

impl Ready {
    /// Runs `_start` in a fresh instance: how long that took, and what came on
    /// standard output.
    pub(crate) fn run(&self, name: &str, args: &[String]) -> Result<(Duration, Vec<u8>)> {
        let mut store = Store::new(self.instance.module().engine(), State::new(name, args));
        if self.variant == Variant::WasmtimeFuel {
            store.set_fuel(u64::MAX)?;
        }
        let instance = self.instance.instantiate(&mut store)?;
        if self.variant == Variant::WasmInstrument {
            let gas = instance.get_global(&mut store, GAS).context("no gas in the module")?;
            gas.set(&mut store, Val::I64(PLENTY))?;
        }
        store.data_mut().memory = instance.get_memory(&mut store, names::MEMORY);
        let start = instance.get_typed_func::<(), ()>(&mut store, names::START)?;
        let begin = Instant::now();
        let ended = start.call(&mut store, ());
        let time = begin.elapsed();
        host::exit_code(ended)?;
        Ok((time, store.into_data().stdout))
    }
}

/// Grants fuel to a module whose grant is used up.
pub(crate) fn refill(remaining: i64) -> i64 {
    remaining.wrapping_add(GRANT)
}
