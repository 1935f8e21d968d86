//! A script: instances made and called one after the other in wasmtime, and
//! written down so that a page repeats it and compares.

use crate::machine::{Ended, Machine};
use crate::pack::{Pack, Range};
use crate::wrapper::{self, Call, SLOT, Target};
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use wasm_encoder::{GlobalType, ValType};
use wasmtime::{Engine, Extern, Mutability};

/// A step as the page script-worker.mjs reads it.
#[derive(Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Step {
    /// Instantiate; every instance gets the next number.
    Module { at: String, bytes: Range, ended: Ended, fuel: u64 },
    /// Let others import an instance's exports.
    Register { name: String, instance: usize },
    /// Calls through a wrapper that imports these exports.
    Calls { bytes: Range, imports: Vec<(usize, String)>, calls: Vec<Expected> },
    /// Compare an exported memory.
    Memory { at: String, instance: usize, export: String, hash: String },
}

#[derive(Serialize)]
struct Expected {
    at: String,
    ended: Ended,
    fuel: u64,
    /// The results' slots in hexadecimal; empty unless it returned.
    bits: String,
}

/// The script as the page reads it.
#[derive(Serialize)]
struct Case<'a> {
    name: &'a str,
    /// Fuel that an instance may use in one call.
    limit: u64,
    steps: Vec<Step>,
}

/// How a call ended, and what it returned.
pub(crate) struct Outcome {
    pub(crate) ended: Ended,
    pub(crate) results: Vec<(ValType, [u8; SLOT])>,
}

/// A script that grows.
pub(crate) struct Script {
    machine: Machine,
    limit: u64,
    steps: Vec<Step>,
}

/// How often calls ended in each way.
pub(crate) type Ends = BTreeMap<String, u64>;

impl Script {
    pub(crate) fn new(engine: &Engine, limit: u64) -> Result<Self> {
        Ok(Self { machine: Machine::new(engine, limit)?, limit, steps: Vec::new() })
    }

    /// Instantiates an instrumented module; its number, when that ended well.
    pub(crate) fn instantiate(
        &mut self,
        pack: &mut Pack,
        at: String,
        bytes: &[u8],
    ) -> Result<(Ended, Option<usize>)> {
        let (ended, number) = self.machine.instantiate(bytes)?;
        let fuel = number.map_or(0, |number| self.machine.used(number));
        self.steps.push(Step::Module { at, bytes: pack.keep(bytes), ended, fuel });
        Ok((ended, number))
    }

    /// Lets modules to come import from an instance.
    pub(crate) fn register(&mut self, name: &str, instance: usize) {
        self.machine.register(name, instance);
        self.steps.push(Step::Register { name: name.to_owned(), instance });
    }

    /// The exports of an instance, in the module's order.
    pub(crate) fn exports(&mut self, instance: usize) -> Vec<(String, Extern)> {
        self.machine.exports(instance)
    }

    /// What kind of thing an export is, if a wrapper can use it.
    pub(crate) fn target(&mut self, instance: usize, export: &str) -> Option<Target> {
        match self.machine.export(instance, export)? {
            Extern::Func(function) => {
                let ty = function.ty(self.machine.store());
                let params = ty.params().map(|ty| wrapper::val_type(&ty)).collect::<Option<_>>()?;
                let results = ty.results().map(|ty| wrapper::val_type(&ty)).collect::<Option<_>>();
                Some(Target::Function(params, results?))
            }
            Extern::Global(global) => {
                let ty = global.ty(self.machine.store());
                Some(Target::Global(GlobalType {
                    val_type: wrapper::val_type(ty.content())?,
                    mutable: ty.mutability() == Mutability::Var,
                    shared: false,
                }))
            }
            _ => None,
        }
    }

    /// Makes calls, each with all its fuel and stack, one after the other.
    pub(crate) fn calls(
        &mut self,
        pack: &mut Pack,
        calls: Vec<(String, Call)>,
    ) -> Result<Vec<Outcome>> {
        let (names, calls): (Vec<String>, Vec<Call>) = calls.into_iter().unzip();
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let wrapper = wrapper::wrap(&calls, |instance, export| self.target(instance, export))?;
        let imports: Option<Vec<Extern>> =
            wrapper.imports.iter().map(|(from, name)| self.machine.export(*from, name)).collect();
        let instance = self.machine.wrapper(&wrapper.bytes, &imports.context("no such export")?)?;
        let memory = instance.get_memory(self.machine.store(), "memory");
        let memory = memory.context("the wrapper has a memory")?;
        let (mut expected, mut outcomes) = (Vec::new(), Vec::new());
        for (number, (at, types)) in names.into_iter().zip(&wrapper.results).enumerate() {
            let size = types.len() * SLOT;
            self.machine.memory(memory)[..size].fill(0);
            let (ended, fuel) = self.machine.call(&instance, &number.to_string())?;
            let slots = &self.machine.memory(memory)[..size];
            let bits = if ended == Ended::Exit { hex::encode(slots) } else { String::new() };
            let results = slots.as_chunks().0.iter().zip(types).map(|(slot, ty)| (*ty, *slot));
            outcomes.push(Outcome { ended, results: results.collect() });
            expected.push(Expected { at, ended, fuel, bits });
        }
        let bytes = pack.keep(&wrapper.bytes);
        self.steps.push(Step::Calls { bytes, imports: wrapper.imports, calls: expected });
        Ok(outcomes)
    }

    /// Compares the contents of the exported memories of an instance.
    pub(crate) fn memories(&mut self, at: &str, instance: usize) {
        for (export, value) in self.machine.exports(instance) {
            if let Extern::Memory(memory) = value {
                let hash = hash(self.machine.memory(memory));
                self.steps.push(Step::Memory { at: at.to_owned(), instance, export, hash });
            }
        }
    }

    /// Counts how the calls so far ended.
    pub(crate) fn count_ends(&self, ends: &mut Ends) {
        for step in &self.steps {
            let Step::Calls { calls, .. } = step else { continue };
            for call in calls {
                *ends.entry(call.ended.to_string()).or_default() += 1;
            }
        }
    }

    /// Puts the script into the pack.
    pub(crate) fn finish(self, pack: &mut Pack, name: &str) -> Result<()> {
        let Self { limit, steps, .. } = self;
        pack.case(Case { name, limit, steps })
    }
}

/// Tells contents of memories apart; as `hash` of script-worker.mjs.
fn hash(bytes: &[u8]) -> String {
    let (mut a, mut b) = (0x811c_9dc5_u32, bytes.len() as u32);
    for word in bytes.as_chunks().0 {
        let word = u32::from_le_bytes(*word);
        a = (a ^ word).wrapping_mul(0x0100_0193);
        b = (b.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b1);
    }
    format!("{a:08x}{b:08x}")
}
