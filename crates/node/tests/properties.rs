//! Whatever happens, in whatever order: the rules that always hold.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use grid_node::{Action, Config, Event, RunReport, Share, State};
use grid_protocol::{
    Ack, Digest, ExitReason, FromNode, GiveBackReason, LeaseId, Signature, ToNode, decode, encode,
    limits,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use support::{Bench, lease, module, output, relay_key};

/// What happens: a line of a script, or an answer to what the node asked for.
#[derive(Debug, Clone)]
enum Step {
    Line(String),
    Raw(Vec<u8>),
    /// Answer the n-th open fetch, upload, run or receipt, well or badly.
    Fetch(usize, bool),
    Upload(usize, bool),
    Run(usize, u8),
    Answer(usize, u8),
    /// Go on towards being joined and ready.
    Join,
}

fn line() -> impl Strategy<Value = Step> {
    let name = prop::sample::select(vec!["A", "B", "C", "D", "E", "F"]);
    let some = || proptest::collection::vec(prop::sample::select(vec!["A", "B", "C", "D"]), 0..4);
    let fixed = prop::sample::select(vec![
        "on",
        "on",
        "on share=0",
        "off",
        "on relay=http://other.example",
        "on relay=http://127.0.0.1:8090",
        "on relay=nonsense",
        "idle active",
        "idle idle",
        "idle locked",
        "power battery",
        "power mains",
        "power unknown",
        "restart",
        "opened",
        "closed",
        "garbage",
        "ping",
        "challenge",
        "challenge version=9",
        "challenge relay=1",
        "refused 5",
        "refused 7",
        "gone",
        "after 10",
        "after 1000",
        "after 9000",
        "after 21000",
        "after 50000",
        "after 400000",
        "use 20 0",
        "use 0 0",
        "snooze 30000",
        "snooze 0",
        "hours 0 1 127",
        "hours 600 60 127",
        "hours",
        "zone 60",
        "zone -2000000000",
        "clock 5",
        "clock 300000",
        "member account",
        "member invited browser",
    ]);
    let tail = prop::sample::select(vec!["", "", "", "blob", "badspec", "badinput", "huge"]);
    prop_oneof![
        3 => fixed.prop_map(str::to_owned),
        1 => some().prop_map(|names| format!("welcome {}", names.join(" "))),
        1 => some().prop_map(|names| format!("ready {}", names.join(" "))),
        8 => (name.clone(), tail).prop_map(|(name, tail)| format!("lease {name} {tail}")),
        2 => (prop::sample::select(vec!["cancel", "rejected", "finished", "failed", "ack",
            "uploaded"]), name).prop_map(|(verb, name)| format!("{verb} {name}")),
    ]
    .prop_map(Step::Line)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => line(),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Raw),
        6 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(n, ok)| Step::Fetch(n, ok)),
        3 => (any::<usize>(), prop::bool::weighted(0.6)).prop_map(|(n, ok)| Step::Upload(n, ok)),
        6 => (any::<usize>(), 0u8..6).prop_map(|(n, how)| Step::Run(n, how)),
        6 => (any::<usize>(), 0u8..6).prop_map(|(n, how)| Step::Answer(n, how)),
        6 => Just(Step::Join),
    ]
}

/// What the outside of the node has seen.
#[derive(Default)]
struct Seen {
    on: bool,
    socket: bool,
    open: bool,
    executor: bool,
    pace: Share,
    /// Taken and not over.
    live: BTreeSet<LeaseId>,
    running: BTreeSet<LeaseId>,
    fetches: Vec<(LeaseId, Digest)>,
    uploads: Vec<LeaseId>,
    /// Results sent, with their receipt's digest, of live leases.
    results: BTreeMap<LeaseId, Digest>,
    /// Given back and told.
    told: BTreeSet<LeaseId>,
    offered: Option<LeaseId>,
    join_sent: bool,
    joined: bool,
    /// The event at hand may end leases without a word to the relay.
    excuse: bool,
    /// The event at hand is a setting: it may end leases whose result is sent.
    switched: bool,
}

const SLOTS: u8 = 3;

impl Seen {
    fn watch(&mut self, bench: &Bench, actions: &[Action]) {
        if !self.on {
            let quiet = |action: &Action| matches!(action, Action::Wake(_) | Action::Drop(_));
            assert!(actions.iter().all(quiet), "acts while switched off: {actions:?}");
        }
        let saved = actions.iter().rev().find_map(|action| match action {
            Action::Save(saved) => Some(saved),
            _ => None,
        });
        if let (Some(offered), Some(saved)) = (self.offered.take(), saved)
            && saved.iter().any(|saved| saved.lease == offered)
            && self.live.insert(offered)
        {
            self.told.remove(&offered);
            self.results.remove(&offered);
        }
        let mut told_now = BTreeSet::new();
        for action in actions {
            match action {
                Action::Connect(_) => {
                    assert!(!self.socket, "a second socket");
                    (self.socket, self.open) = (true, false);
                    (self.join_sent, self.joined) = (false, false);
                }
                Action::Disconnect => {
                    assert!(self.socket, "closes what isn't open");
                    (self.socket, self.open) = (false, false);
                    (self.join_sent, self.joined) = (false, false);
                }
                Action::Send(bytes) => {
                    assert!(self.socket && self.open, "sends before the socket is open");
                    assert!(bytes.len() <= limits::MAX_MESSAGE);
                    match decode::<FromNode>(bytes).unwrap() {
                        FromNode::Result(result) => {
                            let receipt = result.unverified().unwrap().verify().unwrap();
                            let lease = receipt.body().lease;
                            assert!(self.live.contains(&lease), "a result for no lease");
                            assert!(!self.told.contains(&lease), "given back and answered");
                            self.results.insert(lease, receipt.digest());
                        }
                        FromNode::GiveBack { lease, .. } => {
                            assert!(told_now.insert(lease), "given back twice");
                            if self.live.contains(&lease) {
                                assert!(!self.results.contains_key(&lease), "sent and given back");
                                self.told.insert(lease);
                            }
                        }
                        FromNode::Join(_) => self.join_sent = true,
                        FromNode::Ready { slots } => {
                            assert!(
                                usize::from(slots) + self.live.len() <= usize::from(SLOTS)
                                    || slots == 0
                            );
                            assert!(slots == 0 || self.executor);
                        }
                        _ => {}
                    }
                }
                Action::Fetch { lease, digest, .. } => self.fetches.push((*lease, *digest)),
                Action::Upload { lease, .. } => self.uploads.push(*lease),
                Action::StartExecutor => {}
                Action::StopExecutor => {
                    self.executor = false;
                    self.running.clear();
                }
                Action::Run { lease, .. } | Action::Infer { lease, .. } => {
                    assert!(self.executor, "runs without an executor");
                    assert!(self.live.contains(lease) && self.running.insert(*lease));
                    assert!(self.running.len() <= usize::from(SLOTS));
                }
                Action::Drop(lease) => {
                    self.running.remove(lease);
                    if self.live.remove(lease) {
                        let told = self.told.contains(lease);
                        let sent = self.switched && self.results.contains_key(lease);
                        let excused = self.excuse || sent || !self.joined;
                        assert!(told || excused, "dropped without a word");
                        self.results.remove(lease);
                    }
                }
                Action::Pace(share) => {
                    assert!(share.cpu <= 100 && share.gpu <= 100);
                    self.pace = *share;
                }
                Action::Keep(kept) => assert!(self.live.contains(&kept.ack.lease)),
                Action::Save(_) | Action::Wake(_) => {}
            }
        }
        let status = bench.node.status();
        if self.executor {
            let works = status.state == State::Working;
            assert!(!works || self.pace.cpu > 0, "works at no pace");
            let runs = status.state != State::Paused || self.running.is_empty();
            assert!(runs || self.pace == Share::NONE, "paused, and a task runs");
        }
        if let Some(until) = status.until {
            assert!(bench.alarm.is_some_and(|at| at <= until), "sleeps through {until}");
        }
        if let Some(until) = bench.node.resting() {
            let quiet = self.on && !self.socket && self.live.is_empty() && self.running.is_empty();
            assert!(quiet && until > bench.now, "may be stopped, with something to do");
        }
        assert!(self.live.len() <= usize::from(SLOTS), "holds more than its slots");
        let held: BTreeSet<_> = bench.saved.iter().map(|saved| saved.lease).collect();
        assert_eq!(held, self.live, "what is saved is what is held");
    }
}

fn pick<T: Clone>(from: impl IntoIterator<Item = T>, at: usize) -> Option<T> {
    let all: Vec<T> = from.into_iter().collect();
    (!all.is_empty()).then(|| all[at % all.len()].clone())
}

fn play(steps: Vec<Step>) {
    let config = Config { slots: SLOTS, ..Config::default() };
    let mut bench = Bench::new(config);
    let mut seen = Seen::default();
    for step in steps {
        seen.excuse = matches!(step, Step::Answer(..) | Step::Join);
        let actions = match step {
            Step::Line(line) => {
                let verb = line.split(' ').next().unwrap_or_default();
                seen.excuse = ["ack", "rejected", "cancel", "welcome", "challenge"].contains(&verb);
                seen.switched = ["on", "off"].contains(&verb);
                seen.joined |= verb == "welcome" && seen.join_sent;
                match verb {
                    "on" => seen.on = true,
                    "opened" if seen.socket && !seen.open => seen.open = true,
                    "opened" | "closed" if !seen.socket => {}
                    "closed" => {
                        (seen.socket, seen.open) = (false, false);
                        (seen.join_sent, seen.joined) = (false, false);
                    }
                    "ready" if seen.on => {}
                    "restart" => {
                        // The switch is stored; the node hears of it first thing.
                        (seen.socket, seen.open, seen.executor) = (false, false, false);
                        (seen.join_sent, seen.joined) = (false, false);
                        seen.running.clear();
                        // A result that was sent is forgotten with the node; the
                        // executor still has it.
                        seen.results.clear();
                        seen.fetches.clear();
                        seen.uploads.clear();
                    }
                    "lease" => seen.offered = Some(lease(&line[6..7])),
                    _ => {}
                }
                let actions = bench.line(&line);
                match verb {
                    "ready" => seen.executor |= seen.on,
                    "gone" => {
                        seen.executor = false;
                        seen.running.clear();
                    }
                    "finished" | "failed" => {
                        seen.running.remove(&lease(&line[line.len() - 1..]));
                    }
                    _ => {}
                }
                let off = verb == "off";
                seen.watch(&bench, &actions);
                if off {
                    assert!(seen.live.is_empty(), "switched off with work in hand");
                    seen.on = false;
                }
                continue;
            }
            Step::Raw(bytes) => bench.tell(Event::Message(bytes)),
            Step::Fetch(at, ok) => {
                let Some((lease, digest)) = pick(seen.fetches.clone(), at) else { continue };
                seen.fetches.retain(|fetch| *fetch != (lease, digest));
                let blob =
                    if digest == Digest::of(&module()) { module() } else { support::input() };
                let result = if ok { Ok(blob) } else { Err("broken".into()) };
                bench.tell(Event::Fetched { lease, digest, result })
            }
            Step::Upload(at, ok) => {
                let Some(lease) = pick(seen.uploads.clone(), at) else { continue };
                seen.uploads.retain(|upload| *upload != lease);
                let result = if ok { Ok(()) } else { Err("broken".into()) };
                bench.tell(Event::Uploaded { lease, result })
            }
            Step::Run(at, how) => {
                let Some(lease) = pick(seen.running.iter().copied(), at) else { continue };
                seen.running.remove(&lease);
                let report = |bytes, fuel| RunReport {
                    reason: ExitReason::Exit,
                    exit_code: 0,
                    output: output(bytes),
                    check: Digest::ZERO,
                    fuel,
                    hint: Some("é".repeat(3_000)),
                };
                bench.tell(match how {
                    0 => Event::Failed {
                        lease,
                        reason: GiveBackReason::Device,
                        detail: "é".repeat(3_000),
                    },
                    1 => Event::Finished { lease, report: report(1, u64::MAX) },
                    2 => Event::Finished { lease, report: report(100_000, 5) },
                    _ => Event::Finished { lease, report: report(1, 5) },
                })
            }
            Step::Answer(at, how) => {
                let Some((lease, receipt)) = pick(seen.results.clone(), at) else { continue };
                let ack =
                    Ack { receipt, lease, seq: 1, salt: Digest::ZERO, size: 1, root: Digest::ZERO };
                let signature = match how {
                    0 => Signature([0; 64]),
                    _ => relay_key(bench.relay).sign(&ack.encode()),
                };
                bench.tell(Event::Message(encode(&match how {
                    1 => ToNode::Rejected { lease, code: 1, message: "no".into() },
                    _ => ToNode::of_ack(&ack, signature),
                })))
            }
            Step::Join => {
                if !seen.on || seen.joined {
                    continue;
                }
                if !seen.socket {
                    let actions = bench.line("after 60000");
                    seen.watch(&bench, &actions);
                }
                if !seen.socket {
                    continue;
                }
                seen.open = true;
                let standing: Vec<_> = seen.live.iter().map(support::name).collect();
                for line in ["opened", "challenge", &format!("welcome {}", standing.join(" "))] {
                    seen.joined |= line.starts_with("welcome") && seen.join_sent;
                    let actions = bench.line(line);
                    seen.watch(&bench, &actions);
                }
                let running: Vec<_> = seen.running.iter().map(support::name).collect();
                seen.executor = true;
                bench.line(&format!("ready {}", running.join(" ")))
            }
        };
        seen.watch(&bench, &actions);
    }
    (seen.excuse, seen.switched) = (false, true);
    let actions = bench.line("off");
    if seen.on {
        seen.watch(&bench, &actions);
    }
    assert!(seen.live.is_empty(), "every lease ends");
    let status = bench.node.status();
    assert!(status.running.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence(steps in proptest::collection::vec(step(), 0..120)) {
        play(steps);
    }
}
