//! A node under script: events go in, what it asks for comes out as text.
#![allow(dead_code, reason = "each test file uses its part")]

use grid_node::{
    Action, Config, Event, FetchKind, Hours, IdleState, Membership, Node, Power, Receipted,
    RunReport, SavedLease, Settings, Share,
};
use grid_protocol::{
    Ack, BrowserId, Delegation, Digest, ExitReason, Files, FromNode, GiveBackReason, Inference,
    LeaseId, LeaseOffer, LeaseToken, Partial, Publisher, Runtime, Side, Signature, SigningKey,
    Spec, ToNode, decode, encode, join_bytes,
};
use std::collections::BTreeMap;

pub(crate) const ORIGIN: &str = "http://127.0.0.1:8090";

/// The check digest of inferences.
pub(crate) const CHECK: Digest = Digest([5; 32]);

/// Leases are named A to Z.
pub(crate) fn lease(name: &str) -> LeaseId {
    LeaseId([name.as_bytes()[0]; 16])
}

pub(crate) fn name(lease: &LeaseId) -> String {
    char::from(lease.0[0]).to_string()
}

pub(crate) fn relay_key(number: u8) -> SigningKey {
    SigningKey::from_seed([200 + number; 32])
}

pub(crate) fn module() -> Vec<u8> {
    b"\0asm module".to_vec()
}

pub(crate) fn input() -> Vec<u8> {
    Files::stdin(b"input".to_vec()).encode()
}

pub(crate) fn output(bytes: usize) -> Vec<u8> {
    let mut files = Files::new(Side::Output);
    files.insert("stdout", vec![b'x'; bytes]).unwrap();
    files.encode()
}

pub(crate) fn spec() -> Spec {
    Spec {
        runtime: Runtime::Wasm,
        arithmetic: 0,
        source: Digest::of(b"source"),
        module: Digest::of(&module()),
        admission: 2,
        args: vec![],
        env: vec![],
        seed: [0; 32],
        input: Digest::of(&input()),
        fuel: 1_000,
        memory_pages: 1,
        output_bytes: 200_000,
    }
}

pub(crate) fn inference() -> Spec {
    let model = Digest::of(b"model");
    Spec {
        runtime: Runtime::Infer,
        arithmetic: 1,
        source: model,
        module: model,
        admission: 0,
        args: vec!["generate".into()],
        ..spec()
    }
}

/// A node, the time, and the relay's side of the socket.
pub(crate) struct Bench {
    pub node: Node,
    pub key: SigningKey,
    pub now: u64,
    pub alarm: Option<u64>,
    pub settings: Settings,
    pub relay: u8,
    pub saved: Vec<SavedLease>,
    nonce: u8,
    /// Digest and fuel of each receipt sent.
    receipts: BTreeMap<LeaseId, Digest>,
    config: Config,
}

impl Bench {
    pub(crate) fn new(config: Config) -> Self {
        let key = SigningKey::from_seed([1; 32]);
        let settings = Settings::default();
        let node = Node::new(config.clone(), key.clone(), vec![], 0);
        Self {
            node,
            key,
            now: 0,
            alarm: None,
            settings,
            relay: 0,
            saved: vec![],
            nonce: 0,
            receipts: BTreeMap::new(),
            config,
        }
    }

    /// Tells the node; gives what it asks for.
    pub(crate) fn tell(&mut self, event: Event) -> Vec<Action> {
        let actions = self.node.handle(self.now, event);
        for action in &actions {
            match action {
                Action::Wake(at) => {
                    assert!(*at > self.now, "an alarm in the past");
                    self.alarm = Some(*at);
                }
                Action::Save(saved) => self.saved.clone_from(saved),
                _ => {}
            }
        }
        actions
    }

    /// Time passes; the node is woken when it asked to be.
    pub(crate) fn after(&mut self, ms: u64) -> Vec<Action> {
        let end = self.now + ms;
        let mut actions = Vec::new();
        while let Some(at) = self.alarm.filter(|at| *at <= end) {
            self.alarm = None;
            self.now = at;
            actions.extend(self.tell(Event::Wake));
        }
        self.now = end;
        actions
    }

    /// Time passes until the node does something; ten minutes at most.
    fn until_something(&mut self) -> Vec<Action> {
        let end = self.now + 600_000;
        while let Some(at) = self.alarm.filter(|at| *at <= end) {
            let actions = self.after(at - self.now);
            if actions.iter().any(|action| !matches!(action, Action::Wake(_))) {
                return actions;
            }
        }
        vec![]
    }

    fn message(&mut self, message: ToNode) -> Vec<Action> {
        self.tell(Event::Message(encode(&message)))
    }

    /// Carries out one line of a script.
    pub(crate) fn line(&mut self, line: &str) -> Vec<Action> {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap();
        let rest: Vec<&str> = words.collect();
        let option = |key: &str| rest.iter().find_map(|w| w.strip_prefix(key)?.strip_prefix('='));
        let has = |word: &str| rest.contains(&word);
        let names = || rest.iter().filter(|w| w.len() == 1).map(|w| lease(w)).collect::<Vec<_>>();
        match verb {
            "on" | "off" => {
                self.settings.on = verb == "on";
                if let Some(share) = option("share") {
                    self.settings.idle.cpu = share.parse().unwrap();
                }
                if let Some(relay) = option("relay") {
                    self.settings.relay = relay.into();
                }
                self.tell(Event::Settings(self.settings.clone()))
            }
            "use" => {
                let [cpu, gpu] = [rest[0], rest[1]].map(|share| share.parse().unwrap());
                self.settings.in_use = Share { cpu, gpu };
                self.tell(Event::Settings(self.settings.clone()))
            }
            "snooze" => {
                self.settings.snooze_until = self.now + rest[0].parse::<u64>().unwrap();
                self.tell(Event::Settings(self.settings.clone()))
            }
            "hours" => {
                let number = |at: usize| rest[at].parse().unwrap();
                let hours = || Hours { from: number(0), to: number(1), days: number(2) as u8 };
                self.settings.hours = (rest.len() == 3).then(hours);
                self.tell(Event::Settings(self.settings.clone()))
            }
            "zone" => self.tell(Event::Zone(rest[0].parse().unwrap())),
            "member" => {
                let account = SigningKey::from_seed([90; 32]);
                let node = self.key.public();
                self.tell(Event::Membership(Membership {
                    delegation: has("account").then(|| Delegation::sign(&account, &node)),
                    invitation: has("invited").then(|| "CODE".into()),
                    browser: has("browser").then_some(BrowserId([8; 16])),
                }))
            }
            "idle" => self.tell(Event::Idle(match rest[0] {
                "active" => IdleState::Active,
                "locked" => IdleState::Locked,
                _ => IdleState::Idle,
            })),
            "power" => self.tell(Event::Power(Power {
                mains: match rest[0] {
                    "mains" => Some(true),
                    "battery" => Some(false),
                    _ => None,
                },
            })),
            "restart" => {
                self.node =
                    Node::new(self.config.clone(), self.key.clone(), self.saved.clone(), self.now);
                self.alarm = None;
                vec![]
            }
            "after" => self.after(rest[0].parse().unwrap()),
            "clock" => {
                self.now = self.now.saturating_sub(rest[0].parse().unwrap());
                self.tell(Event::Wake)
            }
            "until" => self.until_something(),
            "opened" => self.tell(Event::Opened),
            "closed" => self.tell(Event::Closed),
            "garbage" => self.tell(Event::Message(vec![0xff, 0x00])),
            "ping" => self.message(ToNode::Ping),
            "challenge" => {
                self.relay = option("relay").map_or(self.relay, |n| n.parse().unwrap());
                self.nonce += 1;
                self.message(ToNode::Challenge {
                    version: option("version").map_or(1, |v| v.parse().unwrap()),
                    relay: relay_key(self.relay).public(),
                    origin: option("origin").unwrap_or(ORIGIN).into(),
                    nonce: [self.nonce; 32],
                })
            }
            "welcome" => self.message(ToNode::Welcome {
                heartbeat_ms: option("heartbeat").map_or(10_000, |v| v.parse().unwrap()),
                standing: names(),
                fuel: option("fuel").map_or(0, |v| v.parse().unwrap()),
                tasks: option("tasks").map_or(0, |v| v.parse().unwrap()),
            }),
            "refused" => self.message(ToNode::Refused {
                code: rest[0].parse().unwrap(),
                message: "words".into(),
                versions: vec![1],
            }),
            "lease" => {
                let mut spec = spec();
                if has("admission=9") {
                    spec.admission = 9;
                }
                let bytes = if has("badspec") { vec![1, 2, 3] } else { spec.encode() };
                self.message(ToNode::Lease(LeaseOffer {
                    lease: lease(rest[0]),
                    token: LeaseToken([7; 16]),
                    spec: bytes,
                    deadline_ms: 60_000,
                    module_bytes: if has("huge") { u32::MAX } else { 11 },
                    input: match (has("blob"), has("badinput")) {
                        (true, _) => None,
                        (_, true) => Some(b"other".to_vec()),
                        _ => Some(input()),
                    },
                    draft: None,
                    publisher: has("named").then(|| Publisher {
                        owner: "har\u{7}bour".into(),
                        job: "j".repeat(1_000),
                    }),
                }))
            }
            "infer" => {
                let mut spec = inference();
                if has("arithmetic=9") {
                    spec.arithmetic = 9;
                }
                self.message(ToNode::Lease(LeaseOffer {
                    lease: lease(rest[0]),
                    token: LeaseToken([7; 16]),
                    spec: spec.encode(),
                    deadline_ms: 60_000,
                    module_bytes: 1,
                    input: Some(input()),
                    draft: has("draft").then(|| b"draft".to_vec()),
                    publisher: None,
                }))
            }
            "text" => self.tell(Event::Text {
                lease: lease(rest[0]),
                offset: rest[1].parse().unwrap(),
                text: rest[2].into(),
                pieces: 1,
            }),
            "loading" => self.tell(Event::Loading {
                lease: lease(rest[0]),
                model: "model".into(),
                bytes: rest[1].parse().unwrap(),
                total: rest[2].parse().unwrap(),
            }),
            "models" => {
                let models = rest.iter().map(|name| Digest::of(name.as_bytes()));
                self.tell(Event::Models(models.collect()))
            }
            "inference" => {
                self.settings.inference = rest[0] == "on";
                self.tell(Event::Settings(self.settings.clone()))
            }
            "fetched" => {
                let blob = if rest[1] == "module" { module() } else { input() };
                let digest = Digest::of(&blob);
                let result = match rest.get(2) {
                    None => Ok(blob),
                    Some(&"wrong") => Ok(b"something else".to_vec()),
                    Some(error) => Err((*error).into()),
                };
                self.tell(Event::Fetched { lease: lease(rest[0]), digest, result })
            }
            "uploaded" => {
                let result = rest.get(1).map_or(Ok(()), |error| Err((*error).into()));
                self.tell(Event::Uploaded { lease: lease(rest[0]), result })
            }
            "ready" => self.tell(Event::ExecutorReady { holding: names() }),
            "gone" => self.tell(Event::ExecutorGone),
            "progress" => {
                let fuel = rest[1].parse().unwrap();
                self.tell(Event::Progress { lease: lease(rest[0]), fuel })
            }
            "failed" => self.tell(Event::Failed {
                lease: lease(rest[0]),
                reason: if has("fetch") { GiveBackReason::Fetch } else { GiveBackReason::Device },
                detail: "no memory".into(),
            }),
            "finished" => {
                let bytes = option("output").map_or(5, |v| v.parse().unwrap());
                let report = RunReport {
                    reason: match () {
                        () if has("trap") => ExitReason::Trap,
                        () if has("fuel_out") => ExitReason::OutOfFuel,
                        () => ExitReason::Exit,
                    },
                    exit_code: 3,
                    output: if has("badoutput") { vec![0] } else { output(bytes) },
                    check: if has("infers") { CHECK } else { Digest::ZERO },
                    fuel: option("fuel").map_or(100, |v| v.parse().unwrap()),
                    hint: None,
                };
                self.tell(Event::Finished { lease: lease(rest[0]), report })
            }
            "ack" => {
                let lease = lease(rest[0]);
                let receipt = match has("receipt=wrong") {
                    true => Digest::ZERO,
                    false => self.receipts.get(&lease).copied().unwrap_or(Digest::ZERO),
                };
                let ack =
                    Ack { receipt, lease, seq: 1, salt: Digest::ZERO, size: 1, root: Digest::ZERO };
                let mut signature = relay_key(self.relay).sign(&ack.encode());
                if has("signature=wrong") {
                    signature = Signature([3; 64]);
                }
                self.message(ToNode::of_ack(&ack, signature))
            }
            "rejected" => self.message(ToNode::Rejected {
                lease: lease(rest[0]),
                code: 10,
                message: "words".into(),
            }),
            "cancel" => self.message(ToNode::Cancel { lease: lease(rest[0]) }),
            other => panic!("unknown line {other:?}"),
        }
    }

    /// An action in short; `Wake` is left out, `after` shows its effect.
    pub(crate) fn text(&mut self, action: &Action) -> Option<String> {
        Some(match action {
            Action::Wake(_) => return None,
            Action::Connect(url) => format!("connect {url}"),
            Action::Send(bytes) => self.sent(bytes),
            Action::Disconnect => "disconnect".into(),
            Action::Fetch { lease, kind, .. } => {
                let kind = if *kind == FetchKind::Module { "module" } else { "input" };
                format!("fetch {} {kind}", name(lease))
            }
            Action::Upload { lease, bytes, .. } => {
                format!("upload {} {}", name(lease), bytes.len())
            }
            Action::StartExecutor => "start".into(),
            Action::StopExecutor => "stop".into(),
            Action::Run { lease, spec: of, module: bytes, input: given } => {
                assert_eq!((of, &bytes[..], given), (&spec(), &module()[..], &input()));
                format!("run {}", name(lease))
            }
            Action::Infer { lease, spec: of, input: given, draft } => {
                assert_eq!((of, given), (&inference(), &input()));
                let draft = if draft.is_some() { " draft" } else { "" };
                format!("infer {}{draft}", name(lease))
            }
            Action::Drop(lease) => format!("drop {}", name(lease)),
            Action::Pace(Share::NONE) => "pace 0".into(),
            Action::Pace(share) if share.gpu == Settings::default().idle.gpu => {
                format!("pace {}", share.cpu)
            }
            Action::Pace(share) => format!("pace {} gpu={}", share.cpu, share.gpu),
            Action::Keep(kept) => {
                let Receipted { receipt, signature, relay, ack, ack_signature, .. } = &**kept;
                relay.verify_strict(&ack.encode(), ack_signature).expect("acks are signed");
                let key = self.key.public();
                key.verify_strict(receipt, signature).expect("receipts are signed");
                assert_eq!(Digest::of(receipt), ack.receipt);
                assert!([spec().module, inference().module].contains(&kept.module));
                let lease = ack.lease;
                let model = if kept.model.is_empty() { "" } else { " model" };
                format!("keep {} fuel={}{model}", name(&lease), kept.fuel)
            }
            Action::Save(saved) => {
                let mut text = String::from("save");
                for saved in saved {
                    text.push(' ');
                    text.push_str(&name(&saved.lease));
                }
                text
            }
        })
    }

    fn sent(&mut self, bytes: &[u8]) -> String {
        match decode::<FromNode>(bytes).expect("nodes send messages that decode") {
            FromNode::Hello { .. } => "hello".into(),
            FromNode::Join(join) => {
                let relay = relay_key(self.relay).public();
                let signed = join_bytes(&relay, ORIGIN, &[self.nonce; 32], &join.node);
                join.node.verify_strict(&signed, &join.signature).expect("join is signed");
                assert_eq!(join.package, self.config.package);
                let holding: String =
                    join.holding.iter().map(|l| format!(" {}", name(l))).collect();
                let inference = join.inference;
                let models =
                    inference.map_or(String::new(), |i| format!(" models={}", i.models.len()));
                let account = join.delegation.map_or("", |delegation| {
                    let Delegation { account, signature } = delegation;
                    let signed = Delegation::bytes(&account, &join.node);
                    account.verify_strict(&signed, &signature).expect("delegations are signed");
                    " account"
                });
                let invited = if join.invitation.is_some() { " invited" } else { "" };
                let browser = if join.browser.is_some() { " browser" } else { "" };
                format!("join{holding}{models}{account}{invited}{browser}")
            }
            FromNode::Ready { slots } => format!("announce {slots}"),
            FromNode::Heartbeat { leases } => {
                let held: String =
                    leases.iter().map(|h| format!(" {}:{}", name(&h.lease), h.fuel)).collect();
                format!("heartbeat{held}")
            }
            FromNode::Result(result) => {
                let receipt = result.unverified().unwrap().verify().expect("receipts are signed");
                let body = receipt.body();
                assert_eq!(body.relay, relay_key(self.relay).public());
                let check = if body.spec == inference().digest() { CHECK } else { Digest::ZERO };
                assert!([spec().digest(), inference().digest()].contains(&body.spec));
                assert_eq!((body.input, body.check), (spec().input, check));
                if let Some(output) = &result.output {
                    assert_eq!(Digest::of(output), body.output);
                }
                self.receipts.insert(body.lease, receipt.digest());
                let inline = if result.output.is_some() { "" } else { " uploaded" };
                format!(
                    "result {} {} code={} fuel={}{inline}",
                    name(&body.lease),
                    body.reason.name(),
                    body.exit_code,
                    body.fuel
                )
            }
            FromNode::GiveBack { lease, reason, .. } => {
                let reason = GiveBackReason::from_number(reason).unwrap();
                format!("giveback {} {}", name(&lease), reason.name())
            }
            FromNode::Partial(Partial { lease, offset, text }) => {
                format!("partial {} {offset} {text}", name(&lease))
            }
            FromNode::Update(Inference { arithmetics, models }) => {
                format!("update {} models={}", arithmetics.len(), models.len())
            }
        }
    }
}

/// Plays a script: `> event` lines, after each the `< action` lines that must
/// follow, all of them, in order; `= state why` lines check the status;
/// `play NAME` inserts a part that many scripts share.
pub(crate) fn check(script: &str) {
    check_with(Config { slots: 2, ..Config::default() }, script);
}

pub(crate) fn check_with(config: Config, script: &str) {
    let mut bench = Bench::new(config);
    let mut done = Vec::<String>::new();
    let mut asked: Vec<String> = Vec::new();
    let parts = [("running both", RUNNING_BOTH), ("running", RUNNING), ("joined", JOINED)];
    let mut expanded = script.to_owned();
    for (name, part) in parts {
        expanded = expanded.replace(&format!("play {name}\n"), part);
    }
    for line in expanded.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (mark, rest) = line.split_at(1);
        let rest = rest.trim();
        if mark != "<" {
            assert!(
                asked.is_empty(),
                "not expected: {asked:?}\nbefore: {line}\n{}",
                done.join("\n")
            );
        }
        match mark {
            ">" => {
                let actions = bench.line(rest);
                asked = actions.iter().filter_map(|action| bench.text(action)).collect();
                asked.reverse();
            }
            "<" => {
                let next = asked.pop();
                assert_eq!(next.as_deref(), Some(rest), "after:\n{}", done.join("\n"));
            }
            "=" => {
                let status = bench.node.status();
                let word =
                    |value| serde_json::to_value(value).unwrap().as_str().unwrap().to_owned();
                let state = serde_json::to_value(status.state).unwrap();
                let mut text = format!(
                    "{} {}",
                    state.as_str().unwrap(),
                    word(serde_json::to_value(status.why).unwrap())
                );
                if let Some(until) = status.until {
                    text.push_str(&format!(" until={until}"));
                }
                if rest.contains("tasks=") {
                    text.push_str(&format!(" tasks={} fuel={}", status.tasks, status.fuel));
                }
                if rest.contains("error") {
                    text.push_str(if status.error.is_some() { " error" } else { " no-error" });
                }
                assert_eq!(text, rest, "after:\n{}", done.join("\n"));
            }
            _ => panic!("what is {line:?}?"),
        }
        done.push(line.into());
    }
    assert!(asked.is_empty(), "not expected at the end: {asked:?}");
}

pub(crate) const JOINED: &str = "
    > idle idle
    > on
    < connect ws://127.0.0.1:8090/v1/node
    < start
    > opened
    < hello
    > challenge
    < join
    > welcome
    > ready
    < pace 50
    < announce 2
";

/// One task runs.
const RUNNING: &str = "play joined
    > lease A
    < fetch A module
    < save A
    > fetched A module
    < run A
";

/// Two tasks of one module run.
const RUNNING_BOTH: &str = "play joined
    > lease A
    < fetch A module
    < save A
    > lease B
    < save A B
    > fetched A module
    < run A
    < run B
";
