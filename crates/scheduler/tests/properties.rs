//! The scheduler against a plain model of who may hold what.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use grid_protocol::entry::Unanswered;
use grid_protocol::{GiveBackReason, JobId, LeaseId, PublicKey, limits};
use grid_scheduler::{Check, Lease, LeaseError, Over, Scheduler, Settings, Skip, Submission, Task};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

const SETTINGS: Settings = Settings {
    lease_ms: 100,
    grace_ms: 40,
    avoid_ms: 10,
    avoid_job_ms: 20,
    backoff_ms: 5,
    max_backoff_ms: 50,
    answer_ms: 15,
    slow_ms: 30,
    device_tries: 0,
};

#[derive(Debug, Clone)]
enum Event {
    Submit {
        tasks: u32,
        limit: u64,
        budget: u64,
    },
    Join {
        node: u8,
        keep: u8,
    },
    Ready {
        node: u8,
        slots: u8,
    },
    Vanish {
        node: u8,
    },
    GiveBack {
        node: u8,
        which: usize,
    },
    Heartbeat {
        node: u8,
        which: usize,
    },
    Take {
        node: u8,
        which: usize,
    },
    Vote {
        which: usize,
        share: u8,
    },
    PutBack {
        which: usize,
    },
    /// Tasks with votes: check one, by these candidates; settle one.
    Check {
        which: usize,
        candidates: Vec<u8>,
    },
    Settle {
        which: usize,
        paid: bool,
    },
    ShutOut {
        node: u8,
    },
    End {
        job: usize,
    },
    Pass {
        ms: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let node = 0u8..4;
    let which = 0usize..8;
    prop_oneof![
        1 => (1u32..12, 1u64..20, 0u64..150)
            .prop_map(|(tasks, limit, budget)| Event::Submit { tasks, limit, budget }),
        2 => (node.clone(), any::<u8>()).prop_map(|(node, keep)| Event::Join { node, keep }),
        4 => (node.clone(), any::<u8>()).prop_map(|(node, slots)| Event::Ready { node, slots: slots % 5 }),
        1 => node.clone().prop_map(|node| Event::Vanish { node }),
        2 => (node.clone(), which.clone()).prop_map(|(node, which)| Event::GiveBack { node, which }),
        1 => (node.clone(), which.clone()).prop_map(|(node, which)| Event::Heartbeat { node, which }),
        4 => (node, which.clone()).prop_map(|(node, which)| Event::Take { node, which }),
        4 => (which.clone(), any::<u8>()).prop_map(|(which, share)| Event::Vote { which, share }),
        1 => which.clone().prop_map(|which| Event::PutBack { which }),
        3 => (which.clone(), prop::collection::vec(0u8..4, 0..6))
            .prop_map(|(which, candidates)| Event::Check { which, candidates }),
        2 => (which, any::<bool>()).prop_map(|(which, paid)| Event::Settle { which, paid }),
        1 => (0u8..4).prop_map(|node| Event::ShutOut { node }),
        1 => (0usize..4).prop_map(|job| Event::End { job }),
        2 => (1u64..30).prop_map(|ms| Event::Pass { ms }),
    ]
}

struct ModelJob {
    limit: u64,
    budget: u64,
    spent: u64,
    /// Without votes.
    unfinished: HashSet<u32>,
    /// Fuel of votes on tasks that are not settled.
    open: BTreeMap<u32, u64>,
}

/// A check that was asked for: what of its candidates is left.
struct Asked {
    seq: u64,
    left: VecDeque<(u32, PublicKey)>,
}

#[derive(Default)]
struct Model {
    now: u64,
    next: u64,
    jobs: HashMap<JobId, ModelJob>,
    order: Vec<JobId>,
    /// Standing leases, those being committed too.
    leases: HashMap<LeaseId, (PublicKey, Task)>,
    committing: Vec<Lease>,
    checks: HashMap<Task, Asked>,
    /// Leases that are checks.
    checking: HashSet<LeaseId>,
    /// Tasks that the referee was asked to run.
    referee: Vec<Task>,
    skips: Vec<Skip>,
    tails: Vec<JobId>,
    online: HashSet<PublicKey>,
    slots: HashMap<PublicKey, u8>,
}

fn key(node: u8) -> PublicKey {
    PublicKey([node; 32])
}

impl Model {
    fn id(&mut self) -> [u8; 16] {
        self.next += 1;
        u128::from(self.next).to_le_bytes()
    }

    fn is_committing(&self, id: LeaseId) -> bool {
        self.committing.iter().any(|lease| lease.id() == id)
    }

    fn held(&self, node: PublicKey) -> Vec<LeaseId> {
        let mut held: Vec<_> = self
            .leases
            .iter()
            .filter(|(id, (holder, _))| *holder == node && !self.is_committing(**id))
            .map(|(id, _)| *id)
            .collect();
        held.sort();
        held
    }

    fn apply(&mut self, scheduler: &mut Scheduler, event: Event) {
        match event {
            Event::Submit { tasks, limit, budget } => {
                let job = JobId(self.id());
                let unfinished: HashSet<u32> = (0..tasks).collect();
                self.jobs.insert(
                    job,
                    ModelJob { limit, budget, spent: 0, unfinished, open: BTreeMap::new() },
                );
                self.order.push(job);
                scheduler.submit(Submission {
                    job,
                    tasks: (0..tasks).collect(),
                    open: vec![],
                    fuel_limit: limit,
                    budget,
                    spent: 0,
                });
            }
            Event::Join { node, keep } => {
                let holding: Vec<_> = self
                    .held(key(node))
                    .into_iter()
                    .enumerate()
                    .filter(|(at, _)| keep >> (at % 8) & 1 == 1)
                    .map(|(_, id)| id)
                    .collect();
                let joined = scheduler.join(self.now, key(node), &holding);
                assert_eq!(joined.standing, holding);
                assert!(joined.over.iter().all(|over| !holding.contains(&over.lease)));
                self.over(joined.over);
                assert_eq!(self.held(key(node)), holding);
                self.online.insert(key(node));
                self.slots.insert(key(node), 0);
            }
            Event::Ready { node, slots } => {
                scheduler.ready(key(node), slots);
                if self.online.contains(&key(node)) {
                    self.slots.insert(key(node), slots);
                }
            }
            Event::Vanish { node } => {
                scheduler.vanish(self.now, key(node));
                self.online.remove(&key(node));
            }
            Event::GiveBack { node, which } => {
                let all: Vec<_> = self.held(key(node));
                if let Some(id) = all.get(which) {
                    let reason = Some(GiveBackReason::Device);
                    scheduler.give_back(self.now, key(node), *id, reason).unwrap();
                    self.leases.remove(id);
                }
                let other = self.held(key((node + 1) % 4));
                if let Some(id) = other.first() {
                    let refused = scheduler.give_back(self.now, key(node), *id, None);
                    assert_eq!(refused, Err(LeaseError::NotYours));
                }
            }
            Event::Heartbeat { node, which } => {
                if let Some(id) = self.held(key(node)).get(which) {
                    scheduler.heartbeat(self.now, key(node), *id).unwrap();
                }
            }
            Event::Take { node, which } => {
                if let Some(id) = self.held(key(node)).get(which) {
                    let task = self.leases[id].1;
                    if self.committing.iter().any(|lease| lease.task() == task) {
                        // Another's result is there already.
                        let late = scheduler.take(self.now, key(node), *id);
                        assert_eq!(late.unwrap_err(), LeaseError::Unknown);
                        self.leases.remove(id).unwrap();
                    } else {
                        self.committing.push(scheduler.take(self.now, key(node), *id).unwrap());
                        let again = scheduler.take(self.now, key(node), *id);
                        assert_eq!(again.unwrap_err(), LeaseError::Committing);
                    }
                }
            }
            Event::Vote { which, share } => {
                if which < self.committing.len() {
                    let lease = self.committing.remove(which);
                    let (id, task) = (lease.id(), lease.task());
                    let mut fuel = 0;
                    if self.leases.remove(&id).is_some()
                        && let Some(job) = self.jobs.get_mut(&task.job)
                    {
                        fuel = job.limit * u64::from(share) / 255;
                        job.unfinished.remove(&task.index);
                        *job.open.entry(task.index).or_default() += fuel;
                        self.checks.remove(&task);
                    }
                    let over = scheduler.voted(self.now, lease, fuel);
                    assert!(over.iter().all(|over| self.leases[&over.lease].1 == task));
                    self.over(over);
                }
            }
            Event::Check { which, candidates } => {
                if let Some(task) = self.open(which) {
                    let seq = self.now + 1_000;
                    let candidates: Vec<_> = (0..).zip(candidates.into_iter().map(key)).collect();
                    self.checks.insert(task, Asked { seq, left: candidates.clone().into() });
                    scheduler.check(self.now, Check { task, seq, candidates });
                }
            }
            Event::Settle { which, paid } => {
                if let Some(task) = self.open(which) {
                    let job = self.jobs.get_mut(&task.job).unwrap();
                    let fuel = job.open.remove(&task.index).unwrap();
                    let paid = if paid { fuel } else { 0 };
                    job.spent += paid;
                    self.checks.remove(&task);
                    let over = scheduler.settled(task, paid);
                    self.over(over);
                    self.leases.retain(|_, (_, of)| *of != task);
                }
            }
            Event::ShutOut { node } => {
                let over = scheduler.shut_out(self.now, key(node));
                self.online.remove(&key(node));
                self.over(over);
                assert!(self.held(key(node)).is_empty());
            }
            Event::PutBack { which } => {
                if which < self.committing.len() {
                    let lease = self.committing.remove(which);
                    let id = lease.id();
                    scheduler.put_back(self.now, lease);
                    self.leases.remove(&id);
                }
            }
            Event::End { job } => {
                if let Some(job) = self.order.get(job).copied() {
                    self.end(scheduler, job);
                }
            }
            Event::Pass { ms } => {
                self.now += ms;
                let over = scheduler.expire(self.now);
                self.over(over);
            }
        }
        self.dispatch(scheduler);
        self.check(scheduler);
    }

    fn over(&mut self, over: Vec<Over>) {
        for over in over {
            self.leases.remove(&over.lease).unwrap();
        }
    }

    /// A task that has votes, and is not leased but as a check.
    fn open(&self, which: usize) -> Option<Task> {
        let jobs = self.order.iter().filter_map(|id| Some((*id, self.jobs.get(id)?)));
        let mut open =
            jobs.flat_map(|(job, of)| of.open.keys().map(move |index| Task { job, index: *index }));
        open.nth(which)
    }

    fn end(&mut self, scheduler: &mut Scheduler, job: JobId) {
        self.jobs.remove(&job);
        self.checks.retain(|task, _| task.job != job);
        for over in scheduler.end_job(job) {
            let (_, task) = self.leases.remove(&over.lease).unwrap();
            assert_eq!(task.job, job);
        }
        let left = self.leases.iter().filter(|(_, (_, task))| task.job == job);
        assert!(left.into_iter().all(|(id, _)| self.is_committing(*id)));
    }

    fn dispatch(&mut self, scheduler: &mut Scheduler) {
        let mut next = self.next;
        let decisions = scheduler.dispatch(self.now, || {
            next += 1;
            LeaseId(u128::from(next).to_le_bytes())
        });
        self.next = next;
        self.over(decisions.over);
        // A skip is of the next candidate of a check that is wanted, or was.
        for skip in &decisions.skips {
            let asked = self.checks.values_mut().find(|asked| {
                asked.seq == skip.seq && asked.left.front() == Some(&(skip.place, skip.node))
            });
            if let Some(asked) = asked {
                asked.left.pop_front();
            }
        }
        self.skips.extend(decisions.skips);
        self.tails = decisions.tails;
        for grant in decisions.grants {
            assert!(self.online.contains(&grant.node), "granted to a node that is away");
            let slots = self.slots.get_mut(&grant.node).unwrap();
            assert!(*slots > 0, "more leases than slots");
            *slots -= 1;
            let standing: Vec<_> =
                self.leases.values().filter(|(_, task)| *task == grant.task).collect();
            let job = &self.jobs[&grant.task.job];
            if job.open.contains_key(&grant.task.index) {
                let asked = self.checks.get_mut(&grant.task).expect("no check was asked for");
                let (_, node) = asked.left.pop_front().expect("no candidate is left");
                assert_eq!(node, grant.node, "not the candidate whose turn it is");
                self.checking.insert(grant.lease);
            } else {
                assert!(job.unfinished.contains(&grant.task.index), "leased after it was settled");
                assert!(standing.len() < 2, "three standing leases for {:?}", grant.task);
            }
            assert!(standing.iter().all(|(node, _)| *node != grant.node), "two of one node");
            self.leases.insert(grant.lease, (grant.node, grant.task));
        }
        for task in &decisions.referee {
            assert!(self.checks.remove(task).is_some(), "a task that wants no check");
        }
        self.referee.extend(decisions.referee);
        for job in decisions.out_of_budget {
            let known = &self.jobs[&job];
            assert!(known.spent + known.limit > known.budget && known.open.is_empty());
            assert!(self.leases.values().all(|(_, task)| task.job != job));
            self.end(scheduler, job);
        }
    }

    fn check(&self, scheduler: &Scheduler) {
        let (mut waiting, mut leased, mut open) = (0, 0, 0);
        for (id, job) in &self.jobs {
            let of_job: Vec<_> = self.leases.values().filter(|(_, task)| task.job == *id).collect();
            let due: u64 = job.open.values().sum();
            let leases = of_job.len() as u64;
            assert!(leases == 0 || job.spent + due + leases * job.limit <= job.budget);
            let tasks: HashSet<u32> = of_job.iter().map(|(_, task)| task.index).collect();
            assert_eq!(scheduler.job_leased(*id), tasks.len());
            leased += of_job.len();
            waiting += job.unfinished.difference(&tasks).count();
            open += job.open.len();
        }
        let totals = scheduler.totals();
        assert_eq!((totals.waiting, totals.leased, totals.open), (waiting, leased, open));
        assert_eq!(totals.nodes, self.online.len());
        for (id, holder) in &self.leases {
            assert_eq!(scheduler.holder(*id), Some(*holder));
        }
        for node in 0..4 {
            assert_eq!(scheduler.node_leases(key(node)), self.held(key(node)).len());
        }
    }

    /// With patient nodes every job that can be paid for ends.
    fn drain(&mut self, scheduler: &mut Scheduler) {
        self.apply(scheduler, Event::Join { node: 0, keep: 255 });
        self.apply(scheduler, Event::Join { node: 1, keep: 255 });
        for _ in 0..2_000 {
            if self.jobs.values().all(|job| job.unfinished.is_empty() && job.open.is_empty()) {
                return;
            }
            for node in 0..2 {
                self.apply(scheduler, Event::Ready { node, slots: 4 });
                self.apply(scheduler, Event::Take { node, which: 0 });
                self.apply(scheduler, Event::Vote { which: 0, share: 255 });
                self.apply(scheduler, Event::Settle { which: 0, paid: true });
            }
            self.apply(scheduler, Event::Pass { ms: 1 });
        }
        panic!("work is left that nobody gets: {:?}", scheduler.totals());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_leased_twice_or_lost(events in prop::collection::vec(event(), 1..120)) {
        let mut scheduler = Scheduler::new(SETTINGS);
        let mut model = Model::default();
        for event in events {
            model.apply(&mut scheduler, event);
        }
        model.drain(&mut scheduler);
    }
}

/// One job of `tasks` tasks that cost nothing to try, and `nodes` nodes that
/// joined.
fn set_up(tasks: u32, nodes: u8) -> (Scheduler, Model, JobId) {
    let mut scheduler = Scheduler::new(SETTINGS);
    let mut model = Model::default();
    model.apply(&mut scheduler, Event::Submit { tasks, limit: 1, budget: 1_000 });
    for node in 0..nodes {
        model.apply(&mut scheduler, Event::Join { node, keep: 0 });
    }
    let job = model.order[0];
    (scheduler, model, job)
}

#[test]
fn a_task_given_back_goes_to_another_node() {
    let (mut scheduler, mut model, _) = set_up(1, 2);
    model.apply(&mut scheduler, Event::Ready { node: 0, slots: 2 });
    model.apply(&mut scheduler, Event::GiveBack { node: 0, which: 0 });
    assert!(model.leases.is_empty(), "the node that gave it back has it again");
    model.apply(&mut scheduler, Event::Ready { node: 1, slots: 1 });
    assert_eq!(model.held(key(1)).len(), 1);
}

#[test]
fn a_task_that_every_node_gives_back_is_put_off_longer_each_time() {
    let (mut scheduler, mut model, _) = set_up(1, 1);
    let mut waits = Vec::new();
    for _ in 0..6 {
        model.apply(&mut scheduler, Event::Ready { node: 0, slots: 1 });
        let since = model.now;
        while model.leases.is_empty() {
            model.apply(&mut scheduler, Event::Pass { ms: 1 });
        }
        waits.push(model.now - since);
        model.apply(&mut scheduler, Event::GiveBack { node: 0, which: 0 });
    }
    assert_eq!(waits, [0, 5, 10, 20, 40, 50]);
}

#[test]
fn jobs_share_in_turn() {
    let (mut scheduler, mut model, first) = set_up(10, 1);
    model.apply(&mut scheduler, Event::Submit { tasks: 10, limit: 1, budget: 1_000 });
    model.apply(&mut scheduler, Event::Ready { node: 0, slots: 4 });
    let of_first = model.leases.values().filter(|(_, task)| task.job == first).count();
    assert_eq!((model.leases.len(), of_first), (4, 2));
}

#[test]
fn leases_of_a_vanished_node_stand_for_the_grace() {
    let (mut scheduler, mut model, _) = set_up(1, 2);
    model.apply(&mut scheduler, Event::Ready { node: 0, slots: 1 });
    model.apply(&mut scheduler, Event::Vanish { node: 0 });
    model.apply(&mut scheduler, Event::Ready { node: 1, slots: 1 });
    model.apply(&mut scheduler, Event::Pass { ms: SETTINGS.grace_ms - 1 });
    assert_eq!(model.held(key(0)).len(), 1, "over before the grace was");
    model.apply(&mut scheduler, Event::Pass { ms: 1 });
    assert_eq!((model.held(key(0)).len(), model.held(key(1)).len()), (0, 1));
}

#[test]
fn a_node_that_comes_back_without_a_lease_frees_it_at_once() {
    let (mut scheduler, mut model, _) = set_up(2, 1);
    model.apply(&mut scheduler, Event::Ready { node: 0, slots: 2 });
    model.apply(&mut scheduler, Event::Vanish { node: 0 });
    model.apply(&mut scheduler, Event::Join { node: 0, keep: 1 });
    assert_eq!(model.held(key(0)).len(), 1);
    assert_eq!(scheduler.totals().waiting, 1);
}

#[test]
fn slots_are_capped() {
    let (mut scheduler, _, _) = set_up(200, 1);
    scheduler.ready(key(0), 255);
    let mut next = 0u128;
    let mut fresh = || {
        next += 1;
        LeaseId((next << 64).to_le_bytes())
    };
    let grants = scheduler.dispatch(0, &mut fresh).grants;
    assert_eq!(grants.len(), usize::from(limits::MAX_SLOTS));
    scheduler.ready(key(0), 255);
    assert!(scheduler.dispatch(0, &mut fresh).grants.is_empty());
}

#[test]
fn a_slow_lease_gets_a_second_one_beside_it() {
    let (mut scheduler, mut model, job) = set_up(2, 2);
    // What is usual takes 5 ms; slow is what takes 30 and more.
    model.apply(&mut scheduler, Event::Ready { node: 0, slots: 1 });
    model.apply(&mut scheduler, Event::Pass { ms: 5 });
    model.apply(&mut scheduler, Event::Take { node: 0, which: 0 });
    model.apply(&mut scheduler, Event::Vote { which: 0, share: 255 });
    model.apply(&mut scheduler, Event::Settle { which: 0, paid: true });
    model.apply(&mut scheduler, Event::Ready { node: 0, slots: 1 });
    model.apply(&mut scheduler, Event::Ready { node: 1, slots: 1 });
    assert_eq!(model.leases.len(), 1);
    model.apply(&mut scheduler, Event::Pass { ms: SETTINGS.slow_ms - 1 });
    assert_eq!(model.leases.len(), 1, "not slow yet");
    for _ in 0..3 {
        model.apply(&mut scheduler, Event::Pass { ms: SETTINGS.slow_ms });
        model.apply(&mut scheduler, Event::Heartbeat { node: 0, which: 0 });
    }
    assert_eq!((model.held(key(0)).len(), model.held(key(1)).len()), (1, 1));
    // The first result wins, the other is over.
    model.apply(&mut scheduler, Event::Take { node: 1, which: 0 });
    model.apply(&mut scheduler, Event::Vote { which: 0, share: 255 });
    assert!(model.leases.is_empty());
    assert_eq!(scheduler.job_leased(job), 0);
}

#[test]
fn candidates_are_asked_in_turn_and_then_the_referee() {
    let (mut scheduler, mut model, _) = set_up(1, 3);
    model.apply(&mut scheduler, Event::Ready { node: 0, slots: 1 });
    model.apply(&mut scheduler, Event::Take { node: 0, which: 0 });
    model.apply(&mut scheduler, Event::Vote { which: 0, share: 255 });
    // Node 3 is away, node 1 has no slot, node 2 takes it and says nothing.
    let candidates = vec![3, 1, 2, 1];
    model.apply(&mut scheduler, Event::Check { which: 0, candidates });
    model.apply(&mut scheduler, Event::Ready { node: 2, slots: 1 });
    assert!(model.leases.is_empty(), "not its turn");
    model.apply(&mut scheduler, Event::Pass { ms: SETTINGS.answer_ms });
    assert_eq!(model.held(key(2)).len(), 1);
    model.apply(&mut scheduler, Event::Pass { ms: SETTINGS.lease_ms });
    let skips: Vec<_> = model.skips.iter().map(|skip| (skip.place, skip.why)).collect();
    let why = [Unanswered::Absent, Unanswered::Busy, Unanswered::Silent, Unanswered::Busy];
    assert_eq!(skips, [(0, why[0]), (1, why[1]), (2, why[2]), (3, why[3])]);
    assert_eq!(model.referee.len(), 1);
}
