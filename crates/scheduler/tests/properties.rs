//! The scheduler against a plain model of who may hold what.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

mod model;

use grid_protocol::entry::Unanswered;
use grid_protocol::{JobId, LeaseId, limits};
use grid_scheduler::Scheduler;
use model::*;
use proptest::prelude::*;

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
    let candidates = vec![3, 1, 2];
    model.apply(&mut scheduler, Event::Check { which: 0, candidates });
    model.apply(&mut scheduler, Event::Ready { node: 2, slots: 1 });
    assert!(model.leases.is_empty(), "not its turn");
    model.apply(&mut scheduler, Event::Pass { ms: SETTINGS.answer_ms });
    assert_eq!(model.held(key(2)).len(), 1);
    model.apply(&mut scheduler, Event::Pass { ms: SETTINGS.lease_ms });
    let skips: Vec<_> = model.skips.iter().map(|skip| (skip.place, skip.why)).collect();
    let why = [Unanswered::Absent, Unanswered::Busy, Unanswered::Silent];
    assert_eq!(skips, [(0, why[0]), (1, why[1]), (2, why[2])]);
    // Who was only busy has another chance.
    assert_eq!(model.referee.len(), 0);
    model.apply(&mut scheduler, Event::Pass { ms: 6 * SETTINGS.answer_ms });
    assert_eq!((model.referee.len(), model.skips.len()), (1, 3));
}

/// A draw by node 0 that names nodes 1 to 6, none with a free slot, and its
/// first three passed over.
fn crowded() -> (Scheduler, Model) {
    let (mut scheduler, mut model, _) = set_up(1, 7);
    model.apply(&mut scheduler, Event::Ready { node: 0, slots: 1 });
    model.apply(&mut scheduler, Event::Take { node: 0, which: 0 });
    model.apply(&mut scheduler, Event::Vote { which: 0, share: 255 });
    let candidates = vec![1, 2, 3, 4, 5, 6];
    model.apply(&mut scheduler, Event::Check { which: 0, candidates });
    for _ in 0..3 {
        model.apply(&mut scheduler, Event::Pass { ms: SETTINGS.answer_ms });
    }
    assert_eq!(model.skips.len(), 3);
    (scheduler, model)
}

#[test]
fn in_a_crowd_the_first_free_slot_checks() {
    let (mut scheduler, mut model) = crowded();
    model.apply(&mut scheduler, Event::Ready { node: 6, slots: 1 });
    assert_eq!(model.held(key(6)).len(), 1);
    let said: Vec<_> = model.skips.iter().map(|skip| (skip.place, skip.why)).collect();
    assert_eq!(said[3..], [(4, Unanswered::Crowded)]);
    // Nobody else has it too.
    model.apply(&mut scheduler, Event::Ready { node: 4, slots: 1 });
    assert_eq!(model.leases.len(), 1);
}

#[test]
fn a_crowd_has_a_bound() {
    let (mut scheduler, mut model) = crowded();
    model.apply(&mut scheduler, Event::Pass { ms: 6 * SETTINGS.answer_ms - 1 });
    assert_eq!(model.referee.len(), 0);
    model.apply(&mut scheduler, Event::Pass { ms: 1 });
    assert_eq!(model.referee.len(), 1);
    let last = model.skips.last().unwrap();
    assert_eq!((last.place, last.why, model.skips.len()), (5, Unanswered::Crowded, 4));
}

#[test]
fn of_a_crowd_that_leaves_nobody_is_waited_for() {
    let (mut scheduler, mut model) = crowded();
    for node in 1..6 {
        model.apply(&mut scheduler, Event::Vanish { node });
    }
    assert_eq!(model.referee.len(), 0);
    model.apply(&mut scheduler, Event::ShutOut { node: 6 });
    assert_eq!(model.referee.len(), 1);
}

#[test]
fn who_is_shut_out_is_passed_without_a_word() {
    let (mut scheduler, mut model, _) = set_up(1, 3);
    model.apply(&mut scheduler, Event::Ready { node: 0, slots: 1 });
    model.apply(&mut scheduler, Event::Take { node: 0, which: 0 });
    model.apply(&mut scheduler, Event::Vote { which: 0, share: 255 });
    model.apply(&mut scheduler, Event::Check { which: 0, candidates: vec![1, 2] });
    model.apply(&mut scheduler, Event::ShutOut { node: 1 });
    model.apply(&mut scheduler, Event::Ready { node: 2, slots: 1 });
    assert_eq!((model.held(key(2)).len(), model.skips.len()), (1, 0));
}
