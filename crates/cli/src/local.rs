//! Admission and runs on this machine.

use crate::failure::{Exit, Failure};
use grid_engine::{Engine, EngineError};
use grid_protocol::{Digest, Files, Spec};
use grid_sandbox::{ADMISSION, Outcome};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// A module admitted here.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) source: Digest,
    pub(crate) admitted: Digest,
    pub(crate) bytes: Vec<u8>,
    /// Pages of memory it starts with.
    pub(crate) memory_pages: u32,
}

/// Version of admission that [`admit`] makes.
pub(crate) const VERSION: u16 = ADMISSION;

/// The relay's code for a module that admission refuses.
const REFUSED: &str = "module_refused";

/// Admits a module as the relay does.
pub(crate) fn admit(source: &[u8]) -> Result<Module, Failure> {
    if !source.starts_with(b"\0asm") {
        return Err(Failure::new(Exit::Refused, REFUSED, "the module is not WebAssembly").hint(
            "build it for WASI preview 1: in Rust with \
             `cargo build --release --target wasm32-wasip1`",
        ));
    }
    let admitted = grid_sandbox::admit(source).map_err(|error| {
        Failure::new(Exit::Refused, REFUSED, error.to_string())
            .hint("docs/task-modules.md says what a task module may be")
    })?;
    Ok(Module {
        source: Digest::of(source),
        admitted: Digest::of(&admitted.bytes),
        bytes: admitted.bytes,
        memory_pages: admitted.memory_pages,
    })
}

/// Runs a task to its end. `progress` is told the fuel used so far, a few
/// times a second.
pub(crate) fn run(
    module: &Module,
    spec: &Spec,
    input: Files,
    mut progress: impl FnMut(u64) + Send + 'static,
) -> Result<Outcome, Failure> {
    let mut last = Instant::now();
    let on_slice = move |fuel| {
        if last.elapsed() >= Duration::from_millis(200) {
            last = Instant::now();
            progress(fuel);
        }
        ControlFlow::Continue(())
    };
    let run = || {
        let engine = Engine::new()?;
        engine.run(&engine.load(&module.bytes)?, spec, input, on_slice)
    };
    run().map_err(|error: EngineError| {
        let failure = Failure::new(Exit::Failed, "engine", error.to_string());
        match error {
            EngineError::Device(_) => {
                failure.hint("this machine has too little memory for the task")
            }
            _ => failure,
        }
    })
}
