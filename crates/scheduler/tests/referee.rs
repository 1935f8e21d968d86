//! Tasks that no device can run.
#![allow(clippy::unwrap_used, reason = "a test that fails has to say so")]

use grid_protocol::{GiveBackReason, JobId, LeaseId, PublicKey};
use grid_scheduler::{Needs, Scheduler, Settings, Submission, Task};

#[test]
fn what_device_after_device_gives_back_goes_to_the_referee() {
    let settings = Settings { device_tries: 2, ..Settings::default() };
    let mut scheduler = Scheduler::new(settings);
    let task = Task { job: JobId([1; 16]), index: 0 };
    scheduler.submit(Submission {
        job: task.job,
        needs: Needs::Modules,
        tasks: vec![0],
        open: vec![],
        fuel_limit: 1,
        budget: 10,
        spent: 0,
    });
    let mut referee = Vec::new();
    for node in 0..2 {
        let now = 10_000 * u64::from(node);
        scheduler.expire(now);
        scheduler.join(now, PublicKey([node; 32]), &[]);
        scheduler.ready(PublicKey([node; 32]), 1);
        let grants = scheduler.dispatch(now, || LeaseId([node; 16])).grants;
        assert_eq!(grants.len(), 1);
        let device = Some(GiveBackReason::Device);
        scheduler.give_back(now, PublicKey([node; 32]), grants[0].lease, device).unwrap();
        referee = scheduler.dispatch(now, || LeaseId([9; 16])).referee;
    }
    assert_eq!(referee, [task]);
    assert!(scheduler.is_open(task));
}
