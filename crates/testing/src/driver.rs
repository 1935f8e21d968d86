//! One native node: the state machine of `grid-node` over a real socket.

use crate::executor::{Executor, Runs, Task};
use crate::scripted::blob_request;
use crate::socket::{Message, Socket, open_node};
use futures_util::{FutureExt, SinkExt, StreamExt};
use grid_node::{Action, Config, Event, Node, SavedLease, Settings, Status};
use grid_protocol::{Ack, PublicKey, SigningKey, ToNode, decode};
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

/// Longest time a fetch or an upload may take.
const HTTP: Duration = Duration::from_secs(30);
/// Messages handled before what they ask for is flushed.
const GATHER: usize = 64;

/// What a native node is started with.
#[derive(Debug, Clone)]
pub struct NodeSetup {
    /// The node's own configuration.
    pub config: Config,
    /// Its key.
    pub key: SigningKey,
    /// What its owner set; `on` makes it start at once.
    pub settings: Settings,
    /// Leases from before.
    pub saved: Vec<SavedLease>,
    /// What runs its tasks.
    pub executor: Executor,
    /// For blobs.
    pub http: reqwest::Client,
    /// Keep every acknowledgement for [`NodeHandle::acks`]. Costs memory.
    pub keep_acks: bool,
    /// The loopback address that its socket comes from, if not 127.0.0.1.
    pub from: Option<Ipv4Addr>,
}

/// A running native node. Dropping it stops the node as a crash would.
#[derive(Debug)]
pub struct NodeHandle {
    key: PublicKey,
    orders: mpsc::UnboundedSender<Order>,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    joined: AtomicBool,
    /// Counted since the node was started, unlike the node's own number.
    acked: AtomicU64,
    acks: Mutex<Vec<Ack>>,
    saved: Mutex<Vec<SavedLease>>,
}

enum Order {
    Tell(Event),
    CutSocket,
    Status(oneshot::Sender<Status>),
}

/// Starts a node on the current tokio runtime.
pub fn start_node(setup: NodeSetup) -> NodeHandle {
    let (orders, inbox) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared::default());
    let key = setup.key.public();
    let driver = Driver::new(setup, inbox, shared.clone());
    let task = tokio::spawn(driver.run());
    NodeHandle { key, orders, shared, task }
}

impl NodeHandle {
    /// The node's public key.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Tells the node what happened, as a browser would.
    pub fn tell(&self, event: Event) {
        // A node that is gone hears nothing.
        let _ = self.orders.send(Order::Tell(event));
    }

    /// Cuts the socket, as a network would; the node lives on.
    pub fn cut_socket(&self) {
        let _ = self.orders.send(Order::CutSocket);
    }

    /// Is it joined?
    pub fn joined(&self) -> bool {
        self.shared.joined.load(Ordering::Relaxed)
    }

    /// Receipts acknowledged since the node was started.
    pub fn acked(&self) -> u64 {
        self.shared.acked.load(Ordering::Relaxed)
    }

    /// The acknowledgements that the node accepted, where they are kept.
    pub fn acks(&self) -> Vec<Ack> {
        self.shared.acks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the node says of itself; `None` when it is gone.
    pub async fn status(&self) -> Option<Status> {
        let (reply, status) = oneshot::channel();
        self.orders.send(Order::Status(reply)).ok()?;
        status.await.ok()
    }

    /// Stops the node as a crash would, and gives the leases it had saved.
    pub async fn kill(mut self) -> Vec<SavedLease> {
        self.task.abort();
        let _ = (&mut self.task).await;
        std::mem::take(&mut self.shared.saved.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Driver {
    node: Node,
    origin: String,
    settings: Settings,
    start: Instant,
    socket: Option<Socket>,
    alarm: Pin<Box<Sleep>>,
    alarmed: bool,
    runs: Runs,
    http: reqwest::Client,
    events: mpsc::UnboundedSender<Event>,
    inbox: mpsc::UnboundedReceiver<Order>,
    answers: mpsc::UnboundedReceiver<Event>,
    queue: VecDeque<Event>,
    connecting: Option<String>,
    unflushed: bool,
    keep_acks: bool,
    from: Option<Ipv4Addr>,
    joined: bool,
    tasks: u64,
    shared: Arc<Shared>,
}

impl Driver {
    fn new(setup: NodeSetup, inbox: mpsc::UnboundedReceiver<Order>, shared: Arc<Shared>) -> Self {
        let (events, answers) = mpsc::unbounded_channel();
        Self {
            node: Node::new(setup.config, setup.key, setup.saved, 0),
            origin: origin(&setup.settings),
            settings: setup.settings,
            start: Instant::now(),
            socket: None,
            alarm: Box::pin(sleep_until(Instant::now())),
            alarmed: false,
            runs: Runs::new(setup.executor, events.clone()),
            http: setup.http,
            events,
            inbox,
            answers,
            queue: VecDeque::new(),
            connecting: None,
            unflushed: false,
            keep_acks: setup.keep_acks,
            from: setup.from,
            joined: false,
            tasks: 0,
            shared,
        }
    }

    async fn run(mut self) {
        self.queue.push_back(Event::Settings(self.settings.clone()));
        loop {
            self.settle().await;
            tokio::select! {
                biased;
                order = self.inbox.recv() => match order {
                    None => return,
                    Some(Order::Tell(event)) => {
                        if let Event::Settings(settings) = &event {
                            self.origin = origin(settings);
                        }
                        self.queue.push_back(event);
                    }
                    Some(Order::CutSocket) => self.closed(),
                    Some(Order::Status(reply)) => {
                        let _ = reply.send(self.node.status());
                    }
                },
                event = self.answers.recv() => self.queue.extend(event),
                message = next_message(&mut self.socket) => self.received(message),
                () = &mut self.alarm, if self.alarmed => {
                    self.alarmed = false;
                    self.queue.push_back(Event::Wake);
                }
            }
        }
    }

    /// Handles all that is there, sends what it led to, connects where asked.
    async fn settle(&mut self) {
        loop {
            for _ in 0..GATHER {
                while let Some(event) = self.queue.pop_front() {
                    self.handle(event).await;
                }
                match next_message(&mut self.socket).now_or_never() {
                    Some(message) => self.received(message),
                    None => break,
                }
            }
            if std::mem::take(&mut self.unflushed)
                && let Some(socket) = &mut self.socket
                && socket.flush().await.is_err()
            {
                self.closed();
            }
            if let Some(url) = self.connecting.take() {
                let opened = tokio::time::timeout(HTTP, open_node(&url, self.from)).await;
                self.socket = opened.ok().and_then(Result::ok);
                let opened = self.socket.is_some();
                self.queue.push_back(if opened { Event::Opened } else { Event::Closed });
            }
            if self.queue.is_empty() {
                return;
            }
        }
    }

    fn received(&mut self, message: Option<Message>) {
        match message {
            Some(Message::Binary(bytes)) => self.queue.push_back(Event::Message(bytes.into())),
            Some(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            Some(Message::Text(_) | Message::Close(_)) | None => self.closed(),
        }
    }

    fn closed(&mut self) {
        if self.socket.take().is_some() {
            self.queue.push_back(Event::Closed);
        }
    }

    async fn handle(&mut self, event: Event) {
        let ack = match &event {
            Event::Message(bytes) if self.keep_acks => decode::<ToNode>(bytes).ok(),
            _ => None,
        };
        let ack = ack.as_ref().and_then(ToNode::ack).map(|(ack, _)| ack);
        let now = self.start.elapsed().as_millis() as u64;
        for action in self.node.handle(now, event) {
            // A node drops a lease for an acknowledgement that is genuine.
            if let (Action::Drop(lease), Some(ack)) = (&action, &ack)
                && *lease == ack.lease
            {
                self.shared.acks.lock().unwrap_or_else(PoisonError::into_inner).push(ack.clone());
            }
            self.carry_out(action).await;
        }
        let (joined, tasks) = (self.node.joined(), self.node.tasks());
        if joined != self.joined {
            self.joined = joined;
            self.shared.joined.store(joined, Ordering::Relaxed);
        } else if tasks > self.tasks {
            self.shared.acked.fetch_add(tasks - self.tasks, Ordering::Relaxed);
        }
        self.tasks = tasks;
    }

    async fn carry_out(&mut self, action: Action) {
        match action {
            Action::Connect(url) => self.connecting = Some(url),
            Action::Send(bytes) => {
                if let Some(socket) = &mut self.socket {
                    match socket.feed(Message::binary(bytes)).await {
                        Ok(()) => self.unflushed = true,
                        Err(_) => self.closed(),
                    }
                }
            }
            Action::Disconnect => {
                self.connecting = None;
                if let Some(mut socket) = self.socket.take() {
                    let _ = socket.close(None).await;
                }
            }
            Action::Fetch { lease, token, digest, max_bytes, .. } => {
                let (header, url) = blob_request(&self.origin, lease, &token, digest);
                let (http, events) = (self.http.clone(), self.events.clone());
                tokio::spawn(async move {
                    let result = fetch(http, header, url, max_bytes).await;
                    let _ = events.send(Event::Fetched { lease, digest, result });
                });
            }
            Action::Upload { lease, token, digest, bytes } => {
                let (header, url) = blob_request(&self.origin, lease, &token, digest);
                let put = self.http.put(url).header("Authorization", header).body(bytes);
                let events = self.events.clone();
                tokio::spawn(async move {
                    let result = put.timeout(HTTP).send().await;
                    let result = result.and_then(reqwest::Response::error_for_status);
                    let result = result.map(drop).map_err(|error| error.to_string());
                    let _ = events.send(Event::Uploaded { lease, result });
                });
            }
            Action::StartExecutor => {
                let holding = self.runs.holding();
                self.queue.push_back(Event::ExecutorReady { holding });
            }
            Action::StopExecutor => {
                for lease in self.runs.holding() {
                    self.runs.forget(lease);
                }
            }
            Action::Run { lease, spec, module, input } => {
                let task = Task { lease, spec, module, input };
                self.queue.extend(self.runs.run(task));
            }
            // Its nodes announce no runtime `infer`.
            Action::Infer { .. } => {}
            Action::Drop(lease) => self.runs.forget(lease),
            Action::Pace(share) => self.runs.set_share(share.cpu),
            Action::Keep(_) => {} // `keep_acks` keeps them as they come.
            Action::Save(saved) => {
                *self.shared.saved.lock().unwrap_or_else(PoisonError::into_inner) = saved;
            }
            Action::Wake(at) => {
                self.alarm.as_mut().reset(self.start + Duration::from_millis(at));
                self.alarmed = true;
            }
        }
    }
}

fn origin(settings: &Settings) -> String {
    settings.relay.trim_end_matches('/').to_owned()
}

/// The next message; `None` when the socket closed. Without a socket it never
/// comes.
async fn next_message(socket: &mut Option<Socket>) -> Option<Message> {
    match socket {
        Some(socket) => socket.next().await.and_then(Result::ok),
        None => std::future::pending().await,
    }
}

/// Reads a blob, at most `max_bytes` of it.
async fn fetch(
    http: reqwest::Client,
    header: String,
    url: String,
    max_bytes: u64,
) -> Result<Vec<u8>, String> {
    let get = http.get(url).header("Authorization", header).timeout(HTTP);
    let text = |error: reqwest::Error| error.to_string();
    let response = get.send().await.map_err(text)?;
    let mut response = response.error_for_status().map_err(text)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(text)? {
        if (bytes.len() + chunk.len()) as u64 > max_bytes {
            return Err("the blob is too large".into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
