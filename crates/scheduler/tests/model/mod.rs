//! What a scheduler should do, kept beside it in a simpler way, and random
//! events for both.

use grid_protocol::entry::Unanswered;
use grid_protocol::{GiveBackReason, JobId, LeaseId, PublicKey};
use grid_scheduler::trust::Excuses;
use grid_scheduler::{
    Check, Lease, LeaseError, Needs, Over, Scheduler, Settings, Skip, Submission, Task,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};

pub(crate) const SETTINGS: Settings = Settings {
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
pub(crate) enum Event {
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

pub(crate) fn event() -> impl Strategy<Value = Event> {
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

pub(crate) struct ModelJob {
    pub(crate) limit: u64,
    pub(crate) budget: u64,
    pub(crate) spent: u64,
    /// Without votes.
    pub(crate) unfinished: HashSet<u32>,
    /// Fuel of votes on tasks that are not settled.
    pub(crate) open: BTreeMap<u32, u64>,
}

/// A check that was asked for, and whom of its candidates the log excuses.
pub(crate) struct Asked {
    pub(crate) seq: u64,
    pub(crate) candidates: Vec<(u32, PublicKey)>,
    pub(crate) excuses: Excuses,
    pub(crate) skips: usize,
}

impl Asked {
    /// Is it this candidate's turn: is everybody before it excused?
    pub(crate) fn names(&self, place: u32, node: &PublicKey, caught: &HashSet<PublicKey>) -> bool {
        self.candidates.contains(&(place, *node))
            && self.candidates.iter().all(|(at, other)| {
                *at >= place || caught.contains(other) || self.excuses.covers(*at, other)
            })
    }
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) next: u64,
    pub(crate) jobs: HashMap<JobId, ModelJob>,
    pub(crate) order: Vec<JobId>,
    /// Standing leases, those being committed too.
    pub(crate) leases: HashMap<LeaseId, (PublicKey, Task)>,
    pub(crate) committing: Vec<Lease>,
    pub(crate) checks: HashMap<Task, Asked>,
    /// Leases that are checks.
    pub(crate) checking: HashSet<LeaseId>,
    /// Tasks that the referee was asked to run.
    pub(crate) referee: Vec<Task>,
    pub(crate) skips: Vec<Skip>,
    pub(crate) tails: Vec<JobId>,
    pub(crate) online: HashSet<PublicKey>,
    pub(crate) slots: HashMap<PublicKey, u8>,
    pub(crate) caught: HashSet<PublicKey>,
}

pub(crate) fn key(node: u8) -> PublicKey {
    PublicKey([node; 32])
}

impl Model {
    pub(crate) fn id(&mut self) -> [u8; 16] {
        self.next += 1;
        u128::from(self.next).to_le_bytes()
    }

    pub(crate) fn is_committing(&self, id: LeaseId) -> bool {
        self.committing.iter().any(|lease| lease.id() == id)
    }

    pub(crate) fn held(&self, node: PublicKey) -> Vec<LeaseId> {
        let mut held: Vec<_> = self
            .leases
            .iter()
            .filter(|(id, (holder, _))| *holder == node && !self.is_committing(**id))
            .map(|(id, _)| *id)
            .collect();
        held.sort();
        held
    }

    pub(crate) fn apply(&mut self, scheduler: &mut Scheduler, event: Event) {
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
                    needs: Needs::Modules,
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
                    let mut named = HashSet::new();
                    let candidates = (0..).zip(candidates.into_iter().map(key));
                    let candidates: Vec<_> =
                        candidates.filter(|(_, node)| named.insert(*node)).collect();
                    let excuses = Excuses::default();
                    let asked = Asked { seq, candidates: candidates.clone(), excuses, skips: 0 };
                    self.checks.insert(task, asked);
                    scheduler.check(self.now, Check { task, seq, candidates, together: false });
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
                self.caught.insert(key(node));
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

    pub(crate) fn over(&mut self, over: Vec<Over>) {
        for over in over {
            self.leases.remove(&over.lease).unwrap();
        }
    }

    /// A task that has votes, and is not leased but as a check.
    pub(crate) fn open(&self, which: usize) -> Option<Task> {
        let jobs = self.order.iter().filter_map(|id| Some((*id, self.jobs.get(id)?)));
        let mut open =
            jobs.flat_map(|(job, of)| of.open.keys().map(move |index| Task { job, index: *index }));
        open.nth(which)
    }

    pub(crate) fn end(&mut self, scheduler: &mut Scheduler, job: JobId) {
        self.jobs.remove(&job);
        self.checks.retain(|task, _| task.job != job);
        for over in scheduler.end_job(job) {
            let (_, task) = self.leases.remove(&over.lease).unwrap();
            assert_eq!(task.job, job);
        }
        let left = self.leases.iter().filter(|(_, (_, task))| task.job == job);
        assert!(left.into_iter().all(|(id, _)| self.is_committing(*id)));
    }

    pub(crate) fn dispatch(&mut self, scheduler: &mut Scheduler) {
        let mut next = self.next;
        let decisions = scheduler.dispatch(self.now, || {
            next += 1;
            LeaseId(u128::from(next).to_le_bytes())
        });
        self.next = next;
        self.over(decisions.over);
        // A skip is of a candidate, and never of one that the log shuts out.
        for skip in &decisions.skips {
            let asked = self.checks.get_mut(&skip.task).filter(|asked| asked.seq == skip.seq);
            if let Some(asked) = asked {
                assert!(asked.candidates.contains(&(skip.place, skip.node)));
                let crowded = skip.why == Unanswered::Crowded;
                assert!(crowded || !self.caught.contains(&skip.node));
                asked.skips += 1;
                asked.excuses.add(skip.place, skip.node, skip.why);
                let failed = [Unanswered::Silent, Unanswered::Unable].contains(&skip.why);
                // However long the draw: three in turn, then all at once; and
                // whoever took a lease and failed.
                asked.skips -= usize::from(failed);
                assert!(asked.skips <= 4, "the log is flooded");
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
                let asked = self.checks.get(&grant.task).expect("no check was asked for");
                let named = asked.candidates.iter().find(|(_, node)| *node == grant.node);
                let (place, node) = named.expect("no candidate");
                assert!(asked.names(*place, node, &self.caught), "not its turn");
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

    pub(crate) fn check(&self, scheduler: &Scheduler) {
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
    pub(crate) fn drain(&mut self, scheduler: &mut Scheduler) {
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
