use super::*;
use crate::messages::Finished;
use grid_node::RunReport;
use grid_protocol::{Digest, ExitReason};

const A: LeaseId = LeaseId([1; 16]);
const B: LeaseId = LeaseId([2; 16]);

fn job() -> Job {
    Job { spec: vec![1], module: vec![2], input: vec![3] }
}

fn finished(fuel: u64) -> Finished {
    let output = Vec::new();
    let (reason, check) = (ExitReason::Exit, Digest::ZERO);
    let report = RunReport { reason, exit_code: 0, output, check, fuel, hint: None };
    Finished::new(report, 1.0, 0.0)
}

/// A supervisor with its frame up, a node, and a spare worker 1 that is ready.
fn ready() -> Supervisor {
    let mut s = Supervisor::new(0.0);
    s.frame_up(0.0);
    s.connect();
    s.node(ToSupervisor::Hello, 0.0);
    s.worker(1, FromWorker::Ready, 0.0);
    s.effects();
    s
}

fn failed(effects: &[Effect]) -> bool {
    effects.iter().any(|e| matches!(e, Effect::Node(FromSupervisor::Failed(..))))
}

#[test]
fn starts_when_frame_and_node_are_there() {
    let mut s = Supervisor::new(0.0);
    assert_eq!(s.effects(), [Effect::BuildFrame]);
    s.connect();
    assert_eq!(s.effects(), [Effect::Node(FromSupervisor::Power(None))]);
    s.node(ToSupervisor::Hello, 0.0);
    assert_eq!(s.effects(), []);
    s.frame_up(1.0);
    let ready = Effect::Node(FromSupervisor::Ready(vec![]));
    assert_eq!(s.effects(), [Effect::Spawn(1), ready]);
    s.power(Some(true));
    assert_eq!(s.effects(), [Effect::Node(FromSupervisor::Power(Some(true)))]);
    s.tick(START_MS + 2.0);
    assert!(s.effects().contains(&Effect::BuildFrame), "a spare that never comes");
}

#[test]
fn a_worker_never_gets_two_runs() {
    let mut s = ready();
    s.node(ToSupervisor::Run(A, job()), 1.0);
    assert_eq!(s.effects(), [Effect::Worker(1, ToWorker::Run(job(), 100, 0.0))]);
    s.node(ToSupervisor::Run(A, job()), 1.0);
    assert_eq!(s.effects(), []);
    s.node(ToSupervisor::Run(B, job()), 2.0);
    assert_eq!(s.effects(), [Effect::Spawn(2)], "no spare yet");
    s.worker(2, FromWorker::Ready, 3.0);
    assert_eq!(s.effects(), [Effect::Worker(2, ToWorker::Run(job(), 100, 0.0))]);
    s.worker(2, FromWorker::Ready, 3.0);
    assert_eq!(s.effects(), [], "a second Ready starts nothing");

    s.worker(1, FromWorker::Progress(5), 3.0);
    let progress = Effect::Node(FromSupervisor::Progress(A, 5));
    assert_eq!(s.effects(), [progress, Effect::Spawn(3)], "the next spare");
    s.worker(3, FromWorker::Ready, 3.0);
    assert_eq!(s.effects(), [Effect::Worker(3, ToWorker::Rehearse)]);
    s.worker(1, FromWorker::Finished(finished(7)), 4.0);
    let warm = Finished { warm: true, ..finished(7) };
    assert_eq!(s.effects(), [Effect::Kill(1), Effect::Node(FromSupervisor::Finished(A, warm))]);
    s.worker(2, FromWorker::Finished(finished(8)), 5.0);
    assert_eq!(
        s.effects(),
        [Effect::Kill(2), Effect::Node(FromSupervisor::Finished(B, finished(8)))]
    );
    s.worker(1, FromWorker::Finished(finished(9)), 6.0);
    assert_eq!(s.effects(), [], "a killed worker has no voice");
}

#[test]
fn results_wait_for_a_dead_node() {
    let mut s = ready();
    s.node(ToSupervisor::Run(A, job()), 0.0);
    s.effects();
    s.disconnect();
    assert_eq!(s.effects(), [Effect::WakeNode], "its lease needs heartbeats");
    s.worker(1, FromWorker::Finished(finished(7)), 1.0);
    assert_eq!(s.effects(), [Effect::Kill(1), Effect::WakeNode, Effect::Spawn(2)]);
    s.worker(2, FromWorker::Ready, 1.0);
    s.effects();
    s.connect();
    s.node(ToSupervisor::Hello, 1.0);
    let message = FromSupervisor::Finished(A, Finished { warm: true, ..finished(7) });
    let again = [
        Effect::Node(FromSupervisor::Power(None)),
        Effect::Node(FromSupervisor::Ready(vec![A])),
        Effect::Node(message),
    ];
    assert_eq!(s.effects(), again);
    s.tick(UNSEEN_MS + 2.0);
    assert_eq!(s.effects(), [Effect::WakeNode], "nobody took it");
    s.connect();
    s.node(ToSupervisor::Hello, 1.0);
    assert_eq!(s.effects(), again);
    s.node(ToSupervisor::Seen(A), 0.0);
    s.tick(10.0 * UNSEEN_MS);
    assert_eq!(s.effects(), []);
    s.node(ToSupervisor::Drop(A), 0.0);
    s.connect();
    s.node(ToSupervisor::Hello, 1.0);
    assert!(s.effects().contains(&Effect::Node(FromSupervisor::Ready(vec![]))));
}

#[test]
fn a_silent_worker_is_killed() {
    let mut s = ready();
    s.node(ToSupervisor::Run(A, job()), 0.0);
    s.worker(2, FromWorker::Ready, 0.0);
    s.worker(1, FromWorker::Progress(5), SILENT_MS);
    s.worker(2, FromWorker::Ready, SILENT_MS);
    s.tick(SILENT_MS + 1.0);
    assert!(!failed(&s.effects()));
    s.tick(2.0 * SILENT_MS + 1.0);
    let effects = s.effects();
    assert!(failed(&effects) && effects.contains(&Effect::BuildFrame), "{effects:?}");
    s.tick(2.0 * SILENT_MS + 2.0);
    assert_eq!(s.effects(), []);
}

#[test]
fn a_worker_that_does_not_pause_is_killed() {
    let mut s = ready();
    s.node(ToSupervisor::Run(A, job()), 0.0);
    s.worker(2, FromWorker::Ready, 0.0);
    s.effects();
    s.node(ToSupervisor::Pace(0, 0), 1.0);
    assert_eq!(s.effects(), [Effect::Worker(1, ToWorker::Pace(0))]);
    s.tick(PAUSE_MS + 2.0);
    assert!(failed(&s.effects()));

    let mut s = ready();
    s.node(ToSupervisor::Run(A, job()), 0.0);
    s.worker(2, FromWorker::Ready, 0.0);
    s.node(ToSupervisor::Pace(0, 0), 1.0);
    s.worker(1, FromWorker::Progress(5), 2.0);
    s.worker(2, FromWorker::Ready, 2.0);
    s.tick(100.0 * SILENT_MS);
    assert!(!failed(&s.effects()), "it may be silent for as long as it is paused");
    s.node(ToSupervisor::Pace(50, 50), 100.0 * SILENT_MS);
    s.tick(101.0 * SILENT_MS + 1.0);
    assert!(failed(&s.effects()));
}

#[test]
fn drop_kills_at_once() {
    let mut s = ready();
    s.node(ToSupervisor::Run(A, job()), 0.0);
    s.effects();
    s.node(ToSupervisor::Drop(A), 1.0);
    assert_eq!(s.effects(), [Effect::Kill(1), Effect::Spawn(2)]);
    assert!(s.runs.is_empty());
}

#[test]
fn a_lost_frame_fails_its_runs_and_comes_back() {
    let mut s = ready();
    s.node(ToSupervisor::Run(A, job()), 0.0);
    s.effects();
    s.frame_gone(1.0);
    let effects = s.effects();
    assert!(failed(&effects) && effects.contains(&Effect::BuildFrame), "{effects:?}");
    assert!(!effects.iter().any(|e| matches!(e, Effect::Spawn(_))));
    s.node(ToSupervisor::Run(B, job()), 2.0);
    assert_eq!(s.effects(), [], "B waits for the frame");
    s.frame_up(3.0);
    assert_eq!(s.effects(), [Effect::Spawn(2), Effect::Spawn(3)]);
    s.worker(2, FromWorker::Ready, 4.0);
    assert!(matches!(s.effects()[..], [Effect::Worker(2, ToWorker::Run(..))]));
}

#[test]
fn what_a_run_owes_the_next_one_sleeps() {
    let mut s = ready();
    s.node(ToSupervisor::Run(A, job()), 0.0);
    s.worker(1, FromWorker::Finished(Finished { owed_ms: 30.0, ..finished(1) }), 10.0);
    s.worker(2, FromWorker::Ready, 10.0);
    s.effects();
    s.node(ToSupervisor::Run(B, job()), 15.0);
    assert!(s.effects().contains(&Effect::Worker(2, ToWorker::Run(job(), 100, 25.0))));
}

#[test]
fn without_spares() {
    let mut s = ready();
    s.node(ToSupervisor::Spare(false), 0.0);
    assert_eq!(s.effects(), [Effect::Kill(1)]);
    s.node(ToSupervisor::Run(A, job()), 0.0);
    assert_eq!(s.effects(), [Effect::Spawn(2)]);
}

#[test]
fn a_dead_node_hears_that_the_power_is_back() {
    let mut s = ready();
    s.power(Some(false));
    assert_eq!(s.effects(), [Effect::Node(FromSupervisor::Power(Some(false)))]);
    s.disconnect();
    assert_eq!(s.effects(), [], "nothing is held");
    s.power(Some(true));
    assert_eq!(s.effects(), [Effect::WakeNode]);
}
