//! The host of an admitted module: WASI preview 1 over an in-memory tree,
//! fuel, memory growth, and how the run ended.
//!
//! Whoever runs the module (the driver: wasmtime natively, JavaScript's
//! WebAssembly in a browser) does this:
//!
//! 1. makes a [`Host`], instantiates the module with its imports, and calls
//!    [`Host::start`];
//! 2. calls the export `_start`, handing each import to [`Host::call`],
//!    [`Host::refill`], [`Host::grow`] or [`Host::stack_overflow`]; when one of
//!    them returns [`Control::End`], unwinds the module (wasmtime: return an
//!    error; JavaScript: throw);
//! 3. when the module trapped by itself (a `WebAssembly.RuntimeError`) and
//!    [`Host::ended`] is false, tells [`Host::trap`];
//! 4. calls [`Host::finish`].
//!
//! Anything else the engine throws (a `RangeError`, `too much recursion`, out
//! of memory) is a limit of the device: no outcome, drop the host.

mod call;
mod descriptors;
mod errno;
mod files;
mod fuel;
mod function;
#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
mod misc;
mod paths;
mod streams;
mod tree;

pub use function::{ValueType, WasiFunction};

use call::{Call, Halt, World};
use descriptors::Descriptors;
use fuel::Meter;
use grid_protocol::{ExitReason, Files, Side, Spec};
use thiserror::Error;
use tree::{IN, OUT, Quota, Tree};

/// Bytes in a page of memory.
const PAGE: u64 = 65_536;

/// What the host needs of a running instance. The host checks every range
/// against [`GuestMemory::size`] first.
pub trait GuestMemory {
    /// Bytes of the exported memory now.
    fn size(&self) -> u64;
    /// Fills `into` with the bytes from `at`; always inside the memory.
    fn read(&self, at: u32, into: &mut [u8]);
    /// Stores `bytes` from `at`; always inside the memory.
    fn write(&mut self, at: u32, bytes: &[u8]);
    /// Grows the memory by `delta` pages; false when the engine refuses.
    fn grow(&mut self, delta: u32) -> bool;
    /// Value of the exported global `grid_fuel`.
    fn fuel(&mut self) -> i64;
    /// Sets the exported global `grid_fuel`.
    fn set_fuel(&mut self, fuel: i64);
}

/// What the driver does after a call into the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Control<T> {
    /// Return this value to the module.
    Resume(T),
    /// The run is over: unwind the module, then [`Host::finish`].
    End,
}

/// The device could not do what the spec allows, so the run has no outcome
/// and the lease goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the engine refused memory that the task may have")]
pub struct DeviceLimit;

/// How a run ended and what it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended.
    pub reason: ExitReason,
    /// The module's exit code; 0 unless `reason` is [`ExitReason::Exit`].
    pub exit_code: u32,
    /// All that was written when it ended, whatever the reason.
    pub output: Files,
    /// Fuel used; the spec's limit when `reason` is [`ExitReason::OutOfFuel`].
    pub fuel: u64,
    /// For people: what the engine said of a trap. Differs between engines.
    pub hint: Option<String>,
}

/// The world of one run. Nothing survives it.
#[derive(Debug)]
pub struct Host {
    world: World,
    meter: Meter,
    memory_pages: u32,
    end: Option<End>,
}

/// Why the host ended the run.
#[derive(Debug)]
enum End {
    Exit(u32),
    Trap(String),
    OutOfFuel,
    Stack,
    OutputLimit,
    Device,
}

impl Host {
    /// The world that `spec` and its input list describe.
    pub fn new(spec: &Spec, input: Files) -> Self {
        let mut stdin = Vec::new();
        let mut entries: Vec<(String, Vec<u8>)> = input.into_entries().collect();
        if let Some((_, bytes)) = entries.pop_if(|(path, _)| path == "stdin") {
            stdin = bytes;
        }
        let mut tree = Tree::new(entries.into_iter());
        tree.open(IN);
        tree.open(OUT);
        let args = std::iter::once("task").chain(spec.args.iter().map(String::as_str));
        let world = World {
            args: args.map(|arg| terminated(arg.into())).collect(),
            env: spec.env.iter().map(|(k, v)| terminated(format!("{k}={v}"))).collect(),
            seed: spec.seed,
            random_at: 0,
            slept: 0,
            stdin,
            stdout: Vec::new(),
            stderr: Vec::new(),
            tree,
            quota: Quota::new(spec.output_bytes),
            descriptors: Descriptors::new(),
        };
        Self { world, meter: Meter::new(spec.fuel), memory_pages: spec.memory_pages, end: None }
    }

    /// Before `_start`: ends the run as a trap when the module's initial
    /// memory is above the spec's limit.
    pub fn start(&mut self, guest: &mut impl GuestMemory) -> Control<()> {
        if guest.size() > u64::from(self.memory_pages) * PAGE {
            let hint = "the module's initial memory is above the task's memory limit";
            return self.ends(End::Trap(hint.into()));
        }
        Control::Resume(())
    }

    /// A WASI call. `args` are the parameters in order, i32 zero-extended;
    /// the value resumed with is the errno, an i32 (`proc_exit` always ends).
    pub fn call(
        &mut self,
        guest: &mut impl GuestMemory,
        function: WasiFunction,
        args: &[u64],
    ) -> Control<i32> {
        match Call::run(&mut self.world, &self.meter, guest, function, args) {
            Ok(()) => Control::Resume(0),
            Err(Halt::Errno(errno)) => Control::Resume(errno as i32),
            Err(Halt::End(end)) => self.ends(end),
        }
    }

    /// `grid.refill`: the module used up what was granted (`remaining` is
    /// below 0). Grants at least `slice` fuel more, as far as the limit goes;
    /// the value resumed with is what remains now. The result of a run never
    /// depends on `slice`. Drivers pause, slow down or stop a run here.
    pub fn refill(&mut self, remaining: i64, slice: u64) -> Control<i64> {
        match self.meter.refill(remaining, slice) {
            Some(remaining) => Control::Resume(remaining),
            None => self.ends(End::OutOfFuel),
        }
    }

    /// Fuel used when `remaining` is what the module's global holds.
    pub fn used(&self, remaining: i64) -> u64 {
        self.meter.used(remaining)
    }

    /// `grid.grow`: `memory.grow` by `pages`, an i32 read as unsigned. The
    /// value resumed with is the old size in pages, or -1 when the spec's
    /// limit forbids it.
    pub fn grow(&mut self, guest: &mut impl GuestMemory, pages: u32) -> Control<i32> {
        let before = guest.size() / PAGE;
        let fits = before + u64::from(pages) <= self.memory_pages.into();
        let clear = if fits { u64::from(pages) * PAGE / fuel::BYTES_PER_FUEL } else { 0 };
        let left = guest.fuel().saturating_sub_unsigned(fuel::CALL + clear);
        guest.set_fuel(left);
        if self.meter.over(left) {
            return self.ends(End::OutOfFuel);
        }
        if !fits {
            return Control::Resume(-1);
        }
        if !guest.grow(pages) {
            return self.ends(End::Device);
        }
        Control::Resume(before as i32)
    }

    /// `grid.stack_overflow`: the stack limit of admission was reached.
    pub fn stack_overflow(&mut self) -> Control<()> {
        self.ends(End::Stack)
    }

    fn ends<T>(&mut self, end: End) -> Control<T> {
        self.end.get_or_insert(end);
        Control::End
    }

    /// True when the host ended the run: what the engine threw since is just
    /// the unwinding.
    pub fn ended(&self) -> bool {
        self.end.is_some()
    }

    /// The module trapped by itself. `hint` is the engine's text for people.
    /// Without effect when the host ended the run before.
    pub fn trap(&mut self, hint: &str) {
        self.end.get_or_insert_with(|| End::Trap(hint.into()));
    }

    /// The outcome. When neither the host nor a trap ended the run, `_start`
    /// returned: exit code 0.
    pub fn finish(self, guest: &mut impl GuestMemory) -> Result<Outcome, DeviceLimit> {
        let left = guest.fuel();
        let mut fuel = self.meter.used(left);
        let (mut reason, mut exit_code, mut hint) = match self.end {
            None => (ExitReason::Exit, 0, None),
            Some(End::Exit(code)) => (ExitReason::Exit, code, None),
            Some(End::Trap(hint)) => (ExitReason::Trap, 0, Some(hint)),
            Some(End::OutOfFuel) => (ExitReason::OutOfFuel, 0, None),
            Some(End::Stack) => (ExitReason::Stack, 0, None),
            Some(End::OutputLimit) => (ExitReason::OutputLimit, 0, None),
            Some(End::Device) => return Err(DeviceLimit),
        };
        // Code looks only now and then whether fuel is left, and may come to
        // another end before it looks.
        if reason == ExitReason::OutOfFuel || self.meter.over(left) {
            (reason, exit_code, hint) = (ExitReason::OutOfFuel, 0, None);
            fuel = self.meter.limit();
        }
        let mut output = Files::new(Side::Output);
        let streams = [("stdout", self.world.stdout), ("stderr", self.world.stderr)];
        for (name, bytes) in streams {
            output.insert(name, bytes).expect("the streams are always allowed");
        }
        self.world.tree.collect(&mut output);
        Ok(Outcome { reason, exit_code, output, fuel, hint })
    }
}

fn terminated(text: String) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests;
