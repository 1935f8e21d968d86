use super::*;
use crate::messages::{Finished, Text};
use grid_node::RunReport;
use grid_protocol::{Digest, ExitReason};

const A: LeaseId = LeaseId([1; 16]);
const B: LeaseId = LeaseId([2; 16]);

fn job() -> Inference {
    let (spec, input, draft) = (vec![1], vec![2], None);
    Inference { spec, input, draft, origin: "http://relay".into(), quota: 3 }
}

fn finished() -> Finished {
    let (reason, output, check) = (ExitReason::Exit, Vec::new(), Digest([5; 32]));
    let report = RunReport { reason, exit_code: 0, output, check, fuel: 7, hint: None };
    Finished::new(report, 1.0, 0.0)
}

fn failed(lease: LeaseId, reason: GiveBackReason) -> FromSupervisor {
    FromSupervisor::Failed(lease, reason.number(), String::new())
}

/// A desk that works on A, for a node that listens.
fn working() -> Desk {
    let mut desk = Desk::default();
    desk.connect();
    desk.run(A, job(), 0.0);
    assert_eq!(desk.effects(), [DeskEffect::Start]);
    desk.worker(FromInference::Ready, 0.0);
    let begun = [
        DeskEffect::Tell(ToInference::Pace(100, 100)),
        DeskEffect::Tell(ToInference::Run(A, job())),
    ];
    assert_eq!(desk.effects(), begun);
    desk
}

/// What the node was told of ends, without the words.
fn ends(desk: &mut Desk) -> Vec<FromSupervisor> {
    let told = desk.effects().into_iter().filter_map(|effect| match effect {
        DeskEffect::Node(FromSupervisor::Failed(lease, reason, _)) => {
            Some(FromSupervisor::Failed(lease, reason, String::new()))
        }
        DeskEffect::Node(message) => Some(message),
        _ => None,
    });
    told.collect()
}

#[test]
fn one_task_at_a_time_on_one_worker() {
    let mut desk = working();
    desk.run(B, job(), 1.0);
    desk.run(A, job(), 1.0);
    assert_eq!(desk.effects(), [], "asked twice, and busy");
    desk.worker(FromInference::Finished(A, finished()), 2.0);
    let next = [
        DeskEffect::Node(FromSupervisor::Finished(A, finished())),
        DeskEffect::Tell(ToInference::Run(B, job())),
    ];
    assert_eq!(desk.effects(), next);
    assert_eq!(desk.holding().collect::<Vec<_>>(), [A, B]);
    desk.drop_run(A, 3.0);
    assert_eq!(desk.holding().collect::<Vec<_>>(), [B]);
}

#[test]
fn a_run_that_is_dropped_stops_before_the_next_begins() {
    let mut desk = working();
    desk.run(B, job(), 1.0);
    desk.drop_run(A, 1.0);
    assert_eq!(desk.effects(), [DeskEffect::Tell(ToInference::Stop(A))]);
    desk.worker(FromInference::Text(A, Text { offset: 0, text: "x".into(), pieces: 1 }), 1.5);
    assert_eq!(desk.effects(), [], "nobody wants it");
    desk.worker(FromInference::Failed(A, GiveBackReason::Stopped.number(), String::new()), 2.0);
    assert_eq!(desk.effects(), [DeskEffect::Tell(ToInference::Run(B, job()))]);
}

#[test]
fn a_worker_that_does_not_obey_is_ended() {
    let mut desk = working();
    desk.drop_run(A, 0.0);
    desk.run(B, job(), 0.0);
    desk.effects();
    desk.worker(FromInference::Alive, OBEY_MS);
    desk.tick(OBEY_MS);
    assert_eq!(desk.effects(), []);
    desk.tick(OBEY_MS + 1.0);
    assert_eq!(desk.effects(), [DeskEffect::End, DeskEffect::Start], "a new one for what waits");

    let mut desk = working();
    desk.pace(Share::NONE, 0.0);
    desk.effects();
    desk.tick(OBEY_MS + 1.0);
    assert_eq!(ends(&mut desk), [failed(A, GiveBackReason::Lost)]);
}

#[test]
fn a_paused_worker_may_be_silent_and_a_working_one_not() {
    let mut desk = working();
    desk.pace(Share::NONE, 0.0);
    assert_eq!(desk.effects(), [DeskEffect::Tell(ToInference::Pace(0, 0))]);
    desk.worker(FromInference::Alive, 1.0);
    desk.tick(SILENT_MS * 10.0);
    assert_eq!(desk.effects(), []);
    desk.pace(Share { cpu: 50, gpu: 20 }, SILENT_MS * 10.0);
    desk.effects();
    desk.tick(SILENT_MS * 11.0);
    assert_eq!(desk.effects(), []);
    desk.tick(SILENT_MS * 11.0 + 1.0);
    assert_eq!(ends(&mut desk), [failed(A, GiveBackReason::Lost)]);
}

#[test]
fn memory_is_given_back_when_nothing_comes() {
    let mut desk = working();
    desk.worker(FromInference::Finished(A, finished()), 0.0);
    desk.seen(A);
    desk.effects();
    desk.tick(IDLE_MS);
    assert_eq!(desk.effects(), []);
    desk.tick(IDLE_MS + 1.0);
    assert_eq!(desk.effects(), [DeskEffect::End]);
    desk.run(B, job(), IDLE_MS + 2.0);
    assert_eq!(desk.effects(), [DeskEffect::Start]);
}

#[test]
fn a_worker_that_does_not_start_fails_its_task_and_the_next_gets_another() {
    let mut desk = Desk::default();
    desk.connect();
    desk.run(A, job(), 0.0);
    desk.run(B, job(), 0.0);
    desk.effects();
    desk.tick(START_MS + 1.0);
    let effects = desk.effects();
    assert_eq!(
        (effects.first(), effects.last()),
        (Some(&DeskEffect::End), Some(&DeskEffect::Start))
    );
    desk.worker_error("no such file", START_MS + 2.0);
    assert_eq!(ends(&mut desk), [failed(B, GiveBackReason::Lost)]);
}

#[test]
fn what_ends_while_the_node_is_dead_is_told_when_it_is_back() {
    let mut desk = working();
    desk.disconnect();
    desk.worker(FromInference::Models(vec![]), 1.0);
    desk.worker(FromInference::Finished(A, finished()), 1.0);
    assert_eq!(desk.effects(), [DeskEffect::WakeNode]);
    desk.tick(UNSEEN_MS + 2.0);
    assert_eq!(desk.effects(), [DeskEffect::WakeNode], "again, until it has it");
    desk.connect();
    let told = [FromSupervisor::Models(vec![]), FromSupervisor::Finished(A, finished())];
    assert_eq!(desk.effects(), told.map(DeskEffect::Node));
    desk.seen(A);
    desk.tick(UNSEEN_MS * 9.0);
    assert_eq!(desk.effects(), []);
}
