//! The sandboxed worker: runs one task module as a nested instance, in slices
//! of fuel, says how it ended, and is never used again.

use super::guest::{self, Guest, Imports, SuspendingImport};
use super::{performance_now, words};
use crate::messages::{Finished, FromWorker, Job, ToWorker};
use crate::rehearsal::rehearsal;
use grid_contexts::pace::{Pace, Rest};
use grid_contexts::port::Port;
use grid_contexts::wait::{let_messages_in, sleep};
use grid_node::RunReport;
use grid_protocol::{Digest, Files, Side, Spec};
use grid_sandbox::{Control, Host, WasiFunction, names};
use js_sys::WebAssembly::{self, Instance, Module, RuntimeError};
use js_sys::{Array, BigInt, Function, Promise, Uint8Array};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise, spawn_local};
use web_sys::MessagePort;

/// A run says how far it is this often, in milliseconds.
const PROGRESS_MS: f64 = 250.0;
/// Modules up to this many bytes are compiled at once; larger ones beside the
/// event loop.
const COMPILE_AT_ONCE: u32 = 64 * 1024;
/// Thrown to unwind the module when the host ended the run.
const UNWIND: &str = "the run is over";

/// The state of the worker's one run.
struct Run {
    port: Option<Port>,
    /// There while the module is instantiated.
    live: Option<Live>,
    pace: Pace,
    /// Fuel granted and fuel used, when a slice last ended.
    granted: i64,
    used: u64,
    /// When messages were last let in, and progress last told.
    yielded: f64,
    told: f64,
    /// Resolves what a paused run waits for.
    resume: Option<Function>,
}

struct Live {
    host: Host,
    guest: Guest,
    /// Set while the host works: a trap that escapes then is the host's.
    in_host: bool,
}

type Shared = Rc<RefCell<Run>>;

/// Starts the worker: it waits for its one task on this port.
#[wasm_bindgen]
pub fn execute(port: MessagePort) {
    let shared = Run::new();
    let run = shared.clone();
    let mut started = false;
    let on_message = move |message| match message {
        ToWorker::Run(job, share, owed) if !started => {
            started = true;
            run.borrow_mut().begin(share, owed);
            let run = run.clone();
            spawn_local(async move {
                let ended = execute_job(&run, job).await;
                run.borrow().say(&ended.map_or_else(FromWorker::Failed, FromWorker::Finished));
            });
        }
        ToWorker::Run(..) => {}
        ToWorker::Rehearse => {
            spawn_local(async { drop(execute_job(&Run::new(), rehearsal()).await) })
        }
        ToWorker::Pace(share) => {
            let mut run = run.borrow_mut();
            run.pace.set_share(share);
            run.tell_progress();
            if let Some(resume) = run.resume.take() {
                let _ = resume.call0(&JsValue::UNDEFINED);
            }
        }
    };
    let port = Port::new(port, on_message);
    port.send(&FromWorker::Ready);
    shared.borrow_mut().port = Some(port);
}

impl Run {
    fn new() -> Shared {
        let now = performance_now();
        Rc::new(RefCell::new(Self {
            port: None,
            live: None,
            pace: Pace::new(100, 0.0, now),
            granted: 0,
            used: 0,
            yielded: now,
            told: now,
            resume: None,
        }))
    }

    fn begin(&mut self, share: u8, owed_ms: f64) {
        let now = performance_now();
        self.pace = Pace::new(share, owed_ms, now);
        (self.yielded, self.told) = (now, now);
    }

    fn say(&self, message: &FromWorker) {
        if let Some(port) = &self.port {
            port.send(message);
        }
    }

    fn tell_progress(&mut self) {
        self.told = performance_now();
        self.say(&FromWorker::Progress(self.used));
    }
}

/// Runs the job. An error is a limit of this device: no answer.
async fn execute_job(run: &Shared, job: Job) -> Result<Finished, String> {
    let spec = Spec::decode(&job.spec).map_err(|error| error.to_string())?;
    let input = Files::decode(Side::Input, &job.input).map_err(|error| error.to_string())?;
    rest(run).await;

    let compile = performance_now();
    let bytes = Uint8Array::from(job.module.as_slice());
    drop(job);
    let module: Module = if bytes.length() < COMPILE_AT_ONCE {
        Module::new(&bytes).map_err(|error| words(&error))?
    } else {
        let module = JsFuture::from(WebAssembly::compile(&bytes)).await;
        module.map_err(|error| words(&error))?.unchecked_into()
    };
    let imports = import_object(run, &module)?;
    let instance = Instance::new(&module, &imports.object).map_err(|error| words(&error))?;
    let guest = Guest::new(&instance).ok_or("the module is not an admitted one")?;

    let entered = performance_now();
    let start = guest.start();
    run.borrow_mut().live = Some(Live { host: Host::new(&spec, input), guest, in_host: false });
    run.borrow_mut().pace.used(entered - compile);
    if in_host(run, Host::start).is_ok() {
        // Runs up to the first suspension before it returns.
        let thrown = match start() {
            Ok(promise) => JsFuture::from(promise).await.err(),
            Err(thrown) => Some(thrown),
        };
        if let Some(thrown) = thrown {
            judge(run, &thrown)?;
        }
    }
    let left = performance_now();
    let mut run = run.borrow_mut();
    run.pace.end_slice(left);
    let Live { host, mut guest, .. } = run.live.take().ok_or("the run is lost")?;
    let outcome = host.finish(&mut guest).map_err(|error| error.to_string())?;
    let report = RunReport {
        reason: outcome.reason,
        exit_code: outcome.exit_code,
        output: outcome.output.encode(),
        check: Digest::ZERO,
        fuel: outcome.fuel,
        hint: outcome.hint,
    };
    Ok(Finished::new(report, left - entered, run.pace.owed()))
}

/// What the engine threw: the unwinding that the host asked for, a trap of the
/// module, or else a limit of the device (`RangeError`, out of memory).
fn judge(run: &Shared, thrown: &JsValue) -> Result<(), String> {
    let mut run = run.borrow_mut();
    let live = run.live.as_mut().ok_or("the run is lost")?;
    if live.in_host {
        return Err(format!("the host failed: {}", words(thrown)));
    }
    if live.host.ended() {
        return Ok(());
    }
    let trap = thrown.dyn_ref::<RuntimeError>().ok_or_else(|| words(thrown))?;
    live.host.trap(&String::from(trap.message()));
    Ok(())
}

/// A call into the host; an error unwinds the module.
fn in_host<T>(
    run: &Shared,
    call: impl FnOnce(&mut Host, &mut Guest) -> Control<T>,
) -> Result<T, JsValue> {
    // Before there is an instance nothing may call: a start function would.
    let mut run = run.borrow_mut();
    let live = run.live.as_mut().ok_or(UNWIND)?;
    live.in_host = true;
    let control = call(&mut live.host, &mut live.guest);
    live.in_host = false;
    match control {
        Control::Resume(value) => Ok(value),
        Control::End => Err(UNWIND.into()),
    }
}

/// The imports that the module asks for; anything else is refused.
fn import_object(run: &Shared, module: &Module) -> Result<Imports, String> {
    let mut imports = Imports::new();
    for import in guest::imports_of(module) {
        let run = run.clone();
        match (import.module.as_str(), import.name.as_str()) {
            _ if !import.function => return Err(refused(&import)),
            (names::WASI, name) => {
                let function = WasiFunction::from_name(name).ok_or_else(|| refused(&import))?;
                imports.variadic(&import, move |arguments: Array| {
                    let arguments = guest::arguments(&arguments);
                    in_host(&run, |host, guest| host.call(guest, function, &arguments))
                });
            }
            (names::GRID, names::REFILL) => {
                let refill = SuspendingImport::new(move |remaining| refill(&run, remaining));
                imports.suspending(&import, refill);
            }
            (names::GRID, names::GROW) => imports.variadic(&import, move |arguments: Array| {
                let pages = guest::arguments(&arguments).first().map_or(0, |pages| *pages as u32);
                in_host(&run, |host, guest| host.grow(guest, pages))
            }),
            (names::GRID, names::STACK_OVERFLOW) => imports.variadic(&import, move |_: Array| {
                in_host(&run, |host, _| host.stack_overflow()).map(|()| 0)
            }),
            _ => return Err(refused(&import)),
        }
    }
    Ok(imports)
}

fn refused(import: &guest::Import) -> String {
    format!("the module imports {}.{}", import.module, import.name)
}

/// `grid.refill`: the slice is over. Returns the fuel granted, or a promise of
/// it, on which the module sleeps.
fn refill(run: &Shared, remaining: i64) -> Result<JsValue, JsValue> {
    let now = performance_now();
    let due = {
        let mut run = run.borrow_mut();
        run.pace.end_slice(now);
        run.used = u64::try_from(run.granted.saturating_sub(remaining)).unwrap_or_default();
        run.pace.rest(now - run.yielded)
    };
    if due == Rest::None {
        return grant(run, remaining);
    }
    let run = run.clone();
    let granted = future_to_promise(async move {
        rest(&run).await;
        grant(&run, remaining)
    });
    Ok(granted.into())
}

fn grant(run: &Shared, remaining: i64) -> Result<JsValue, JsValue> {
    let slice = run.borrow_mut().pace.start_slice(performance_now());
    let fuel = in_host(run, |host, _| host.refill(remaining, slice))?;
    let mut run = run.borrow_mut();
    run.granted = (run.used as i64).saturating_add(fuel);
    Ok(BigInt::from(fuel).into())
}

/// Rests as long as the pace asks for; lets messages in.
async fn rest(run: &Shared) {
    loop {
        let now = performance_now();
        let due = {
            let mut run = run.borrow_mut();
            if now - run.told >= PROGRESS_MS {
                run.tell_progress();
            }
            run.pace.rest(now - run.yielded)
        };
        match due {
            Rest::None => return,
            Rest::Yield => let_messages_in().await,
            Rest::Sleep(ms) => sleep(ms.ceil() as u32).await,
            Rest::Paused => paused(run).await,
        }
        let mut run = run.borrow_mut();
        run.yielded = performance_now();
        if let Rest::Sleep(_) = due {
            run.pace.slept(performance_now() - now);
        }
    }
}

/// Waits for the next change of the share.
async fn paused(run: &Shared) {
    run.borrow_mut().tell_progress();
    let changed = Promise::new(&mut |resolve, _| run.borrow_mut().resume = Some(resolve));
    let _ = JsFuture::from(changed).await;
}
