//! The node, told things by a relay that it need not believe.

use crate::{array, join, pieces, vectors};
use grid_node::{
    Action, Config, Event, Hours, IdleState, Membership, Node, Power, RunReport, Settings,
};
use grid_protocol::limits::{MAX_ADMITTED, MAX_INPUT, MAX_MESSAGE};
use grid_protocol::{
    Digest, ExitReason, Files, FromNode, GiveBackReason, LeaseId, LeaseOffer, LeaseToken,
    Publisher, Runtime, Side, Spec, ToNode, decode, encode,
};

const ORIGIN: &str = "http://127.0.0.1:8090";
const LEASE: LeaseId = LeaseId([4; 16]);

/// Messages, each after its length, to a node that joined and works or doesn't,
/// as the first byte says. A message of one byte is something else that happens.
pub fn node(bytes: &[u8]) -> bool {
    let ([stage], rest) = array(bytes);
    let mut bench = Bench::new();
    let script = script();
    for message in script.iter().take(usize::from(stage) % (script.len() + 1)) {
        bench.tell(Event::Message(message.clone()));
    }
    for message in pieces(rest) {
        match *message {
            [what] => bench.happens(what),
            _ => bench.tell(Event::Message(message.to_vec())),
        }
    }
    !rest.is_empty()
}

/// Seeds of [`node`].
pub fn seeds() -> Vec<Vec<u8>> {
    let script = script();
    let mut whole = script.clone();
    whole.extend([0, 2, 3, 4, 1].map(|what| vec![what]));
    let golden = vectors::list("/to_node");
    let stage = |stage: u8, messages: &[Vec<u8>]| [vec![stage], join(messages)].concat();
    vec![stage(0, &whole), stage(3, &whole[3..]), stage(0, &golden), stage(2, &golden[1..])]
}

/// What a relay says until the node works.
fn script() -> Vec<Vec<u8>> {
    let relay = vectors::key("relay").public();
    let challenge = ToNode::Challenge { version: 1, relay, origin: ORIGIN.into(), nonce: [9; 32] };
    let welcome = ToNode::Welcome { heartbeat_ms: 10_000, standing: Vec::new(), fuel: 0, tasks: 0 };
    let spec = Spec {
        runtime: Runtime::Wasm,
        arithmetic: 0,
        source: Digest::ZERO,
        module: Digest::of(&module()),
        admission: 1,
        args: Vec::new(),
        env: Vec::new(),
        seed: [0; 32],
        input: Digest::of(&input()),
        fuel: 1000,
        memory_pages: 1,
        output_bytes: 100_000,
    };
    let lease = ToNode::Lease(LeaseOffer {
        lease: LEASE,
        token: LeaseToken([7; 16]),
        spec: spec.encode(),
        deadline_ms: 60_000,
        module_bytes: module().len() as u32,
        input: Some(input()),
        draft: None,
        publisher: Some(Publisher { owner: "owner".into(), job: "job".into() }),
    });
    [challenge, welcome, lease].map(|message| encode(&message)).into()
}

fn settings() -> Settings {
    Settings { on: true, relay: ORIGIN.into(), ..Settings::default() }
}

fn module() -> Vec<u8> {
    b"\0asm module".to_vec()
}

fn input() -> Vec<u8> {
    Files::stdin(b"input".to_vec()).encode()
}

struct Bench {
    node: Node,
    now: u64,
    alarm: Option<u64>,
}

impl Bench {
    /// A node that is switched on, and whose socket is open.
    fn new() -> Self {
        let config = Config { slots: 2, ..Config::default() };
        let node = Node::new(config, vectors::key("node"), Vec::new(), 0);
        let mut bench = Self { node, now: 0, alarm: None };
        bench.tell(Event::Idle(IdleState::Idle));
        bench.tell(Event::Power(Power { mains: Some(true) }));
        bench.tell(Event::Settings(settings()));
        bench.tell(Event::ExecutorReady { holding: Vec::new() });
        bench.tell(Event::Opened);
        bench
    }

    /// What is no message.
    fn happens(&mut self, what: u8) {
        let report = |bytes: usize, fuel| {
            let mut files = Files::new(Side::Output);
            files.insert("stdout", vec![b'x'; bytes]).expect("a path of outputs");
            let output = files.encode();
            let check = Digest::ZERO;
            RunReport { reason: ExitReason::Exit, exit_code: 0, output, check, fuel, hint: None }
        };
        let event = match what % 22 {
            0 => {
                Event::Fetched { lease: LEASE, digest: Digest::of(&module()), result: Ok(module()) }
            }
            1 => {
                self.now = self.alarm.take().unwrap_or(self.now + 1000);
                Event::Wake
            }
            2 => Event::Progress { lease: LEASE, fuel: 10 },
            3 => Event::Finished { lease: LEASE, report: report(5, 100) },
            4 => Event::Uploaded { lease: LEASE, result: Ok(()) },
            5 => Event::Finished { lease: LEASE, report: report(70_000, 1000) },
            6 => Event::Closed,
            7 => Event::Opened,
            8 => Event::ExecutorGone,
            9 => Event::ExecutorReady { holding: vec![LEASE] },
            10 => {
                let reason = GiveBackReason::Device;
                Event::Failed { lease: LEASE, reason, detail: "no memory".into() }
            }
            11 => Event::Idle(IdleState::Active),
            12 => Event::Idle(IdleState::Idle),
            13 => Event::Fetched {
                lease: LEASE,
                digest: Digest::of(&module()),
                result: Err("404".into()),
            },
            14 => Event::Uploaded { lease: LEASE, result: Err("507".into()) },
            15 => Event::Loading { lease: LEASE, model: "m".into(), bytes: 5, total: 4 },
            16 => Event::Text { lease: LEASE, offset: 9, text: "more".into(), pieces: 1 },
            17 => Event::Models(vec![Digest::of(&module())]),
            18 => Event::Zone(i32::from(what) * 60),
            19 => Event::Membership(Membership {
                invitation: Some(format!("code {what}")),
                ..Membership::default()
            }),
            20 => {
                let hours = Hours { from: 60, to: 120, days: what };
                Event::Settings(Settings { hours: Some(hours), ..settings() })
            }
            _ => {
                self.now += 1 << (what >> 4);
                Event::Wake
            }
        };
        self.tell(event);
    }

    /// Tells the node, and holds what it asks for to what it may ask for.
    fn tell(&mut self, event: Event) {
        for action in self.node.handle(self.now, event) {
            match action {
                Action::Wake(at) => {
                    assert!(at > self.now, "an alarm in the past");
                    self.alarm = Some(at);
                }
                Action::Send(bytes) => {
                    assert!(bytes.len() <= MAX_MESSAGE, "a message that is too long");
                    assert!(decode::<FromNode>(&bytes).is_ok(), "sends what is no message");
                }
                Action::Fetch { max_bytes, .. } => {
                    assert!(max_bytes <= MAX_ADMITTED.max(MAX_INPUT) as u64, "a fetch too large");
                }
                Action::Run { spec, module, input, .. } => {
                    assert_eq!(Digest::of(&module), spec.module, "runs another module");
                    assert_eq!(Digest::of(&input), spec.input, "runs with another input");
                }
                Action::Pace(share) => assert!(share.cpu <= 100 && share.gpu <= 100),
                _ => {}
            }
        }
        self.node.status();
    }
}
