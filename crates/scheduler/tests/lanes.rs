//! Tasks go to nodes that can run them, and inference to nodes that hold the
//! model, where one is free.
#![allow(clippy::unwrap_used, reason = "a test that fails has to say so")]

use grid_protocol::entry::Unanswered;
use grid_protocol::{Digest, GiveBackReason, JobId, LeaseId, PublicKey};
use grid_scheduler::{Abilities, Check, Needs, Scheduler, Settings, Submission, Task};

const MODEL: Digest = Digest([7; 32]);

fn node(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

fn modules() -> Abilities {
    Abilities::default()
}

fn infers(models: &[Digest]) -> Abilities {
    Abilities { modules: false, inference: true, models: models.to_vec() }
}

struct Test {
    scheduler: Scheduler,
    leases: u8,
}

impl Test {
    fn new(nodes: &[(u8, Abilities)]) -> Self {
        let mut scheduler = Scheduler::new(Settings::default());
        for (number, abilities) in nodes {
            scheduler.join(0, node(*number), &[]);
            scheduler.able(node(*number), abilities.clone());
            scheduler.ready(node(*number), 1);
        }
        Self { scheduler, leases: 0 }
    }

    fn submit(&mut self, job: u8, needs: Needs, tasks: u32) {
        self.scheduler.submit(Submission {
            job: JobId([job; 16]),
            needs,
            tasks: (0..tasks).collect(),
            open: vec![],
            fuel_limit: 1,
            budget: 1000,
            spent: 0,
        });
    }

    /// Who gets a task of which job.
    fn dispatch(&mut self) -> Vec<(u8, u8)> {
        let leases = &mut self.leases;
        let decisions = self.scheduler.dispatch(0, || {
            *leases += 1;
            LeaseId([*leases; 16])
        });
        let mut grants: Vec<_> =
            decisions.grants.iter().map(|grant| (grant.task.job.0[0], grant.node.0[0])).collect();
        grants.sort_unstable();
        grants
    }
}

#[test]
fn tasks_go_to_nodes_that_can_run_them() {
    let both = Abilities { inference: true, ..modules() };
    let mut test = Test::new(&[(1, modules()), (2, infers(&[])), (3, both)]);
    test.submit(1, Needs::Modules, 5);
    test.submit(2, Needs::Model(MODEL), 5);
    let grants = test.dispatch();
    assert_eq!(grants.len(), 3);
    assert!(grants.contains(&(1, 1)) && grants.contains(&(2, 2)), "{grants:?}");
    assert!(!grants.contains(&(1, 2)) && !grants.contains(&(2, 1)), "{grants:?}");
}

#[test]
fn many_nodes_that_can_not_are_in_nobody_s_way() {
    let mut nodes: Vec<_> = (1..=200).map(|number| (number, modules())).collect();
    nodes.push((201, infers(&[])));
    let mut test = Test::new(&nodes);
    for job in 1..=100 {
        test.submit(job, Needs::Modules, 1);
    }
    test.submit(101, Needs::Model(MODEL), 2);
    assert!(test.dispatch().contains(&(101, 201)));
}

#[test]
fn who_holds_the_model_goes_first_and_others_when_none_is_free() {
    let many: Vec<_> = (1..=20).map(|number| (number, infers(&[Digest([1; 32])]))).collect();
    let mut test = Test::new(&[many, vec![(21, infers(&[MODEL]))]].concat());
    test.submit(1, Needs::Model(MODEL), 1);
    assert_eq!(test.dispatch(), [(1, 21)]);
    test.submit(2, Needs::Model(MODEL), 1);
    assert_eq!(test.dispatch(), [(2, 1)], "the one that waits longest");
    // It has fetched another model by now.
    test.scheduler.able(node(9), infers(&[Digest([1; 32]), MODEL]));
    test.submit(3, Needs::Model(MODEL), 1);
    assert_eq!(test.dispatch(), [(3, 9)]);
    // A model that is gone is forgotten.
    test.scheduler.able(node(10), infers(&[MODEL]));
    test.scheduler.able(node(10), infers(&[]));
    test.scheduler.able(node(11), infers(&[MODEL]));
    test.submit(4, Needs::Model(MODEL), 1);
    assert_eq!(test.dispatch(), [(4, 11)]);
}

#[test]
fn the_only_node_that_infers_is_not_avoided() {
    let mut test = Test::new(&[(1, modules()), (2, infers(&[]))]);
    test.submit(1, Needs::Model(MODEL), 2);
    let decisions = test.scheduler.dispatch(0, || LeaseId([1; 16]));
    let lease = decisions.grants[0].lease;
    let reason = Some(GiveBackReason::Device);
    test.scheduler.give_back(0, node(2), lease, reason).unwrap();
    test.scheduler.ready(node(2), 1);
    assert_eq!(test.dispatch(), [(1, 2)], "the job's other task");
}

#[test]
fn who_can_not_infer_is_passed_over_as_a_checker() {
    let mut test = Test::new(&[(1, infers(&[])), (2, modules()), (3, infers(&[]))]);
    test.submit(1, Needs::Model(MODEL), 1);
    let grant = test.scheduler.dispatch(0, || LeaseId([1; 16])).grants[0];
    let lease = test.scheduler.take(1, grant.node, grant.lease).unwrap();
    test.scheduler.voted(1, lease, 1);
    let task = Task { job: JobId([1; 16]), index: 0 };
    let candidates = vec![(0, node(2)), (1, node(3))];
    test.scheduler.check(1, Check { task, seq: 5, candidates, together: false });
    let decisions = test.scheduler.dispatch(1, || LeaseId([2; 16]));
    assert_eq!(decisions.grants[0].node, node(3));
    let skips: Vec<_> = decisions.skips.iter().map(|skip| (skip.place, skip.why)).collect();
    assert_eq!(skips, [(0, Unanswered::Unable)]);
}
