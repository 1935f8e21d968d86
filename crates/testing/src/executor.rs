//! What runs the tasks of a simulated node.

use grid_engine::{Engine, EngineError, Module};
use grid_node::{Event, RunReport};
use grid_protocol::{Digest, ExitReason, Files, FilesError, GiveBackReason, LeaseId, Side, Spec};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::UnboundedSender;

/// A task as the node hands it to its executor.
#[derive(Debug)]
pub struct Task {
    /// The lease.
    pub lease: LeaseId,
    /// The spec.
    pub spec: Spec,
    /// The admitted module.
    pub module: Arc<[u8]>,
    /// The encoded input list.
    pub input: Vec<u8>,
}

/// Computes a report at once; `None` never answers.
type Instant = dyn Fn(&Task) -> Option<RunReport> + Send + Sync;

/// What runs the tasks of a simulated node.
#[derive(Clone)]
pub enum Executor {
    /// A closure computes the report at once, in the node's own task; where it
    /// gives `None`, the run never ends.
    Instant(Arc<Instant>),
    /// The real thing: wasmtime, on a thread of its own for each run.
    Wasm(Wasm),
}

/// Compiled modules, shared by all nodes.
#[derive(Clone)]
pub struct Wasm {
    engine: Engine,
    modules: Arc<Mutex<HashMap<Digest, Module>>>,
    lies: bool,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Instant(_) => "Instant",
            Self::Wasm(_) => "Wasm",
        })
    }
}

impl Executor {
    /// An executor that answers at once with what `run` computes.
    pub fn instant(run: impl Fn(&Task) -> Option<RunReport> + Send + Sync + 'static) -> Self {
        Self::Instant(Arc::new(run))
    }

    /// An executor that runs modules in wasmtime.
    pub fn wasm() -> Result<Self, EngineError> {
        Ok(Self::Wasm(Wasm { engine: Engine::new()?, modules: Arc::default(), lies: false }))
    }

    /// An executor that runs modules in wasmtime and then changes one digit of
    /// what they wrote: nothing else about its receipts is wrong.
    pub fn liar() -> Result<Self, EngineError> {
        Ok(Self::Wasm(Wasm { engine: Engine::new()?, modules: Arc::default(), lies: true }))
    }
}

/// Leaves standard input as standard output: what a simulated task computes
/// where only the way there matters. Its fuel is 1000 plus the input's length.
pub fn echo(task: &Task) -> Option<RunReport> {
    let input = Files::decode(Side::Input, &task.input).ok()?;
    let stdin = input.get("stdin").unwrap_or_default();
    let fuel = (1_000 + stdin.len() as u64).min(task.spec.fuel);
    let mut files = Files::new(Side::Output);
    files.insert("stdout", stdin.to_vec()).ok()?;
    let output = files.encode();
    let reason = ExitReason::Exit;
    Some(RunReport { reason, exit_code: 0, output, check: Digest::ZERO, fuel, hint: None })
}

/// A node's runs.
pub(crate) struct Runs {
    executor: Executor,
    events: UnboundedSender<Event>,
    /// How each run may go on: see [`GO`].
    pace: HashMap<LeaseId, Arc<AtomicU8>>,
    share: u8,
}

/// A run may go on; [`PAUSE`]d it waits, [`STOP`]ped it ends.
const GO: u8 = 0;
const PAUSE: u8 = 1;
const STOP: u8 = 2;

impl Runs {
    pub(crate) fn new(executor: Executor, events: UnboundedSender<Event>) -> Self {
        Self { executor, events, pace: HashMap::new(), share: 100 }
    }

    /// Starts a run; where it is over at once, how.
    pub(crate) fn run(&mut self, task: Task) -> Option<Event> {
        match &self.executor {
            Executor::Instant(run) => {
                let report = run(&task)?;
                Some(Event::Finished { lease: task.lease, report })
            }
            Executor::Wasm(wasm) => {
                let pace = Arc::new(AtomicU8::new(if self.share == 0 { PAUSE } else { GO }));
                self.pace.insert(task.lease, pace.clone());
                let (wasm, events) = (wasm.clone(), self.events.clone());
                tokio::task::spawn_blocking(move || {
                    let lease = task.lease;
                    let event = match wasm.run(task, &pace, events.clone()) {
                        Ok(report) => Event::Finished { lease, report },
                        Err(EngineError::Stopped) => return,
                        Err(error) => Event::Failed {
                            lease,
                            reason: GiveBackReason::Device,
                            detail: error.to_string(),
                        },
                    };
                    // A node that is gone wants no report.
                    let _ = events.send(event);
                });
                None
            }
        }
    }

    pub(crate) fn forget(&mut self, lease: LeaseId) {
        if let Some(pace) = self.pace.remove(&lease) {
            pace.store(STOP, Ordering::Relaxed);
        }
    }

    pub(crate) fn set_share(&mut self, share: u8) {
        self.share = share;
        for pace in self.pace.values() {
            pace.store(if share == 0 { PAUSE } else { GO }, Ordering::Relaxed);
        }
    }

    pub(crate) fn holding(&self) -> Vec<LeaseId> {
        self.pace.keys().copied().collect()
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        for pace in self.pace.values() {
            pace.store(STOP, Ordering::Relaxed);
        }
    }
}

impl Wasm {
    fn run(
        &self,
        task: Task,
        pace: &Arc<AtomicU8>,
        events: UnboundedSender<Event>,
    ) -> Result<RunReport, EngineError> {
        let module = self.module(&task)?;
        let input = Files::decode(Side::Input, &task.input)
            .map_err(|error| EngineError::Device(error.to_string()))?;
        let (pace, lease) = (pace.clone(), task.lease);
        let outcome = self.engine.run(&module, &task.spec, input, move |fuel| {
            let _ = events.send(Event::Progress { lease, fuel });
            loop {
                match pace.load(Ordering::Relaxed) {
                    GO => return ControlFlow::Continue(()),
                    STOP => return ControlFlow::Break(()),
                    // tidy-allow(sleep): a paused run waits to be told.
                    _ => std::thread::sleep(std::time::Duration::from_millis(5)),
                }
            }
        })?;
        let output = if self.lies {
            lie(&outcome.output).map_err(|error| EngineError::Device(error.to_string()))?
        } else {
            outcome.output
        };
        Ok(RunReport {
            reason: outcome.reason,
            exit_code: outcome.exit_code,
            output: output.encode(),
            check: Digest::ZERO,
            fuel: outcome.fuel,
            hint: outcome.hint,
        })
    }

    fn module(&self, task: &Task) -> Result<Module, EngineError> {
        let lock = || self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = lock().get(&task.spec.module) {
            return Ok(module.clone());
        }
        let module = self.engine.load(&task.module)?;
        lock().insert(task.spec.module, module.clone());
        Ok(module)
    }
}

/// The same files with the last digit of standard output changed, or its last
/// byte where it has none.
fn lie(truth: &Files) -> Result<Files, FilesError> {
    let mut stdout = truth.get("stdout").unwrap_or_default().to_vec();
    match stdout.iter().rposition(u8::is_ascii_digit) {
        Some(place) => stdout[place] = if stdout[place] == b'9' { b'8' } else { stdout[place] + 1 },
        None => match stdout.last_mut() {
            Some(byte) => *byte ^= 1,
            None => stdout.push(b'1'),
        },
    }
    let mut files = Files::new(Side::Output);
    for (path, bytes) in truth.iter().filter(|(path, _)| *path != "stdout") {
        files.insert(path, bytes.to_vec())?;
    }
    files.insert("stdout", stdout)?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lie_is_another_answer_of_the_same_shape() {
        let check = |truth: &[u8], expected: &[u8]| {
            let mut files = Files::new(Side::Output);
            files.insert("stdout", truth.to_vec()).unwrap();
            files.insert("/out/more", b"7".to_vec()).unwrap();
            let lie = lie(&files).unwrap();
            assert_eq!(lie.get("stdout"), Some(expected));
            assert_eq!(lie.get("/out/more"), Some(&b"7"[..]));
        };
        check(b"the\t12\n", b"the\t13\n");
        check(b"the\t19\n", b"the\t18\n");
        check(b"no", b"nn");
        check(b"", b"1");
    }
}
