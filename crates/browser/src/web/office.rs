//! The offscreen document: drives the [`Supervisor`].

use super::performance_now;
use crate::supervisor::{Effect, Supervisor, TICK_MS, WorkerId};
use gloo::timers::callback::Interval;
use grid_contexts::port::Port;
use js_sys::{Array, Function, Object, Reflect};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{MessageChannel, MessageEvent, MessagePort, Worker};

/// The script of the worker that infers.
const INFERENCE: &str = "inference-worker.js";

/// What the offscreen document's script holds.
#[wasm_bindgen]
pub struct Office(Rc<Inner>);

struct Inner {
    supervisor: RefCell<Supervisor>,
    /// Builds the frame and gives it a port.
    build_frame: Option<Function>,
    /// Starts the service worker.
    wake_node: Function,
    /// Starts what infers in this very context.
    infer_here: Option<Function>,
    frame: RefCell<Option<FramePort>>,
    node: RefCell<Option<Port>>,
    connection: Cell<u32>,
    workers: RefCell<Vec<(WorkerId, Port)>>,
    inference: RefCell<Option<Inferring>>,
    ticks: RefCell<Option<Interval>>,
}

/// What infers. Ended when dropped.
struct Inferring {
    home: Home,
    port: Port,
    _error: Closure<dyn FnMut(JsValue)>,
}

/// Where it is.
enum Home {
    /// In a worker, to be terminated.
    Worker(Worker),
    /// In this context; this ends it.
    Here(Function),
}

/// The port to the frame's script, which starts and terminates workers.
struct FramePort {
    port: MessagePort,
    /// Removes the frame, and its workers with it.
    remove: Option<Function>,
    _message: Closure<dyn FnMut(MessageEvent)>,
}

#[wasm_bindgen]
impl Office {
    /// Starts the supervisor. `build_frame(port)` puts the sandboxed frame in
    /// the place of the one before, hands it the port and may give a function
    /// that removes it; without, no modules are run. `wake_node()` starts the
    /// service worker. `infer_here(port, failed)` is for where no workers are:
    /// it starts what infers in this context, and gives a function that ends it.
    #[wasm_bindgen(constructor)]
    pub fn new(
        build_frame: Option<Function>,
        wake_node: Function,
        infer_here: Option<Function>,
    ) -> Self {
        let now = performance_now();
        let supervisor = match &build_frame {
            Some(_) => Supervisor::new(now),
            None => Supervisor::builtin_only(now),
        };
        let inner = Rc::new(Inner {
            supervisor: RefCell::new(supervisor),
            build_frame,
            wake_node,
            infer_here,
            frame: RefCell::default(),
            node: RefCell::default(),
            connection: Cell::new(0),
            workers: RefCell::default(),
            inference: RefCell::default(),
            ticks: RefCell::default(),
        });
        inner.with(|_, _| {});
        Self(inner)
    }

    /// The service worker handed over a port. Returns the connection's number.
    pub fn connect(&self, port: MessagePort) -> u32 {
        let inner = self.0.clone();
        let port = Port::new(port, move |message| inner.with(|s, now| s.node(message, now)));
        self.0.node.replace(Some(port));
        self.0.with(|s, _| s.connect());
        self.0.connection.set(self.0.connection.get() + 1);
        self.0.connection.get()
    }

    /// The service worker of this connection died. Without effect when another
    /// one is connected already.
    pub fn disconnect(&self, connection: u32) {
        if connection == self.0.connection.get() {
            self.0.node.take();
            self.0.with(|s, _| s.disconnect());
        }
    }

    /// Ends everything, where the document goes on.
    pub fn close(&self) {
        self.0.node.take();
        self.0.workers.take();
        self.0.frame.take();
        self.0.inference.take();
        self.0.ticks.take();
    }

    /// The browser told the state of the power supply: on mains (or charging)?
    pub fn power(&self, mains: Option<bool>) {
        self.0.with(|s, _| s.power(mains));
    }
}

impl Inner {
    /// Tells the supervisor something and carries out what it asks for.
    fn with(self: &Rc<Self>, event: impl FnOnce(&mut Supervisor, f64)) {
        event(&mut self.supervisor.borrow_mut(), performance_now());
        self.settle();
    }

    fn settle(self: &Rc<Self>) {
        let effects = self.supervisor.borrow_mut().effects();
        for effect in effects {
            self.carry_out(effect);
        }
        let mut ticks = self.ticks.borrow_mut();
        if !self.supervisor.borrow().wants_ticks() {
            ticks.take();
        } else if ticks.is_none() {
            let inner = self.clone();
            let tick = move || inner.with(|s, now| s.tick(now));
            *ticks = Some(Interval::new(TICK_MS, tick));
        }
    }

    fn carry_out(self: &Rc<Self>, effect: Effect) {
        match effect {
            Effect::BuildFrame => self.build(),
            Effect::Spawn(worker) => self.spawn(worker),
            Effect::Kill(worker) => {
                self.workers.borrow_mut().retain(|(id, _)| *id != worker);
                self.tell_frame("kill", worker, &Array::new());
            }
            Effect::Worker(worker, message) => {
                let workers = self.workers.borrow();
                if let Some((_, port)) = workers.iter().find(|(id, _)| *id == worker) {
                    port.send(&message);
                }
            }
            Effect::Node(message) => {
                if let Some(port) = &*self.node.borrow() {
                    port.send(&message);
                }
            }
            Effect::WakeNode => {
                let _ = self.wake_node.call0(&JsValue::UNDEFINED);
            }
            Effect::StartInference => self.start_inference(),
            Effect::EndInference => drop(self.inference.take()),
            Effect::Inference(message) => {
                if let Some(inference) = &*self.inference.borrow() {
                    inference.port.send(&message);
                }
            }
        }
    }

    fn build(self: &Rc<Self>) {
        self.workers.borrow_mut().clear();
        let Ok(channel) = MessageChannel::new() else { return };
        let port = channel.port1();
        let inner = self.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            inner.on_frame(&event.data());
        });
        port.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        self.frame.replace(Some(FramePort { port, remove: None, _message: on_message }));
        let Some(build) = &self.build_frame else { return };
        let built = build.call1(&JsValue::UNDEFINED, &channel.port2()).unwrap_or_default();
        if let Some(frame) = &mut *self.frame.borrow_mut() {
            frame.remove = built.dyn_into().ok();
        }
    }

    /// `{up: true}`, or `{error: worker, detail}`.
    fn on_frame(self: &Rc<Self>, data: &JsValue) {
        let get = |key: &str| Reflect::get(data, &key.into()).unwrap_or_default();
        if get("up").is_truthy() {
            self.with(|s, now| s.frame_up(now));
        } else if let Some(worker) = get("error").as_f64() {
            let detail = get("detail").as_string().unwrap_or_default();
            self.with(|s, now| s.worker_error(worker as WorkerId, &detail, now));
        }
    }

    fn spawn(self: &Rc<Self>, worker: WorkerId) {
        let Ok(channel) = MessageChannel::new() else { return };
        let inner = self.clone();
        let on_message = move |message| inner.with(|s, now| s.worker(worker, message, now));
        let port = Port::new(channel.port1(), on_message);
        self.workers.borrow_mut().push((worker, port));
        self.tell_frame("spawn", worker, &Array::of1(&channel.port2()));
    }

    fn start_inference(self: &Rc<Self>) {
        let Ok(channel) = MessageChannel::new() else { return }; // It will be missed.
        let (inner, failed) = (self.clone(), self.clone());
        let on_message = move |message| inner.with(|s, now| s.inference(message, now));
        let port = Port::new(channel.port1(), on_message);
        let error = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
            let detail = Reflect::get(&event, &"message".into()).unwrap_or_default();
            let detail = detail.as_string().unwrap_or_default();
            failed.with(|s, now| s.inference_error(&detail, now));
        });
        let home = match &self.infer_here {
            None => Home::in_worker(&channel.port2(), error.as_ref().unchecked_ref()),
            Some(start) => start
                .call2(&JsValue::UNDEFINED, &channel.port2(), error.as_ref())
                .and_then(JsCast::dyn_into)
                .map(Home::Here),
        };
        if let Ok(home) = home {
            self.inference.replace(Some(Inferring { home, port, _error: error }));
        }
    }

    fn tell_frame(&self, what: &str, worker: WorkerId, ports: &Array) {
        let message = Object::new();
        let _ = Reflect::set(&message, &what.into(), &worker.into());
        if let Some(frame) = &*self.frame.borrow() {
            let _ = frame.port.post_message_with_transferable(&message, ports);
        }
    }
}

impl Home {
    fn in_worker(port: &MessagePort, error: &Function) -> Result<Self, JsValue> {
        let worker = Worker::new(INFERENCE)?;
        worker.set_onerror(Some(error));
        worker.post_message_with_transfer(&JsValue::NULL, &Array::of1(port))?;
        Ok(Self::Worker(worker))
    }
}

impl Drop for Inferring {
    fn drop(&mut self) {
        match &self.home {
            Home::Worker(worker) => {
                worker.set_onerror(None);
                worker.terminate();
            }
            Home::Here(end) => drop(end.call0(&JsValue::UNDEFINED)),
        }
    }
}

impl Drop for FramePort {
    fn drop(&mut self) {
        self.port.set_onmessage(None);
        self.port.close();
        if let Some(remove) = &self.remove {
            let _ = remove.call0(&JsValue::UNDEFINED);
        }
    }
}
