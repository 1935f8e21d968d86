//! The client against a relay played by hand: broken connections, refusals,
//! and answers that no relay gives.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{FakeRelay, answer, chunks, error, job, json, line};
use grid_client::{Client, ClientError, JobError, OwnerKey, TaskInput, new_job};
use grid_protocol::api::{JobState, ModuleInfo, NewJob};
use grid_protocol::{Digest, Files, JobId};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const JOB: JobId = JobId([7; 16]);

fn client(relay: &FakeRelay) -> Client {
    Client::new(&relay.url, OwnerKey::new("s3cret").unwrap()).unwrap()
}

/// Everything the stream gives: each `seq`, and the error it ended with.
async fn collect(
    client: &Client,
    after: Option<u64>,
    follow: bool,
) -> (Vec<u64>, Option<ClientError>) {
    let mut results = client.results(JOB, after, follow);
    let mut seqs = Vec::new();
    let all = async {
        loop {
            match results.next().await {
                Some(Ok(result)) => seqs.push(result.seq),
                Some(Err(error)) => return Some(error),
                None => return None,
            }
        }
    };
    let end = tokio::time::timeout(Duration::from_secs(30), all).await;
    (seqs, end.expect("the stream ends within its retries"))
}

#[tokio::test]
async fn a_broken_stream_is_taken_up_where_it_broke() {
    let count = AtomicUsize::new(0);
    let relay = FakeRelay::start(move |request| {
        if !request.line.contains("results") {
            return json(&job(JobState::Done));
        }
        match count.fetch_add(1, Ordering::SeqCst) {
            // Cut inside the second line.
            0 => chunks(&[line(1), line(2)[..50].into()], false),
            1 => error("503 Service Unavailable", "starting"),
            // A clean end while the job goes on would lose the rest.
            2 => chunks(&["\n".into(), line(2), line(3)], true),
            _ => chunks(&[line(4)], true),
        }
    })
    .await;
    assert_eq!(collect(&client(&relay), None, true).await.0, [1, 2, 3, 4]);
    let results: Vec<_> =
        relay.lines().into_iter().filter(|line| line.contains("results")).collect();
    let path = format!("GET /v1/jobs/{JOB}/results?follow=true");
    let again = |after: u64| format!("{path}&after={after}");
    assert_eq!(results, [path.clone(), again(1), again(1), again(3)]);
}

#[tokio::test]
async fn a_stream_that_ends_while_the_job_runs_was_cut() {
    let count = AtomicUsize::new(0);
    let relay = FakeRelay::start(move |request| {
        if !request.line.contains("results") {
            let over = count.load(Ordering::SeqCst) > 2;
            return json(&job(if over { JobState::Done } else { JobState::Running }));
        }
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => chunks(&[line(1)], true),
            1 => chunks(&[line(2)], true),
            2 => chunks(&[line(3)], true),
            _ => chunks(&[], true),
        }
    })
    .await;
    let (seqs, end) = collect(&client(&relay), None, true).await;
    assert_eq!((seqs, end.is_none()), (vec![1, 2, 3], true));
}

#[tokio::test]
async fn without_follow_the_end_is_the_end() {
    let relay = FakeRelay::start(|_| chunks(&[line(8), line(9)], true)).await;
    assert_eq!(collect(&client(&relay), Some(7), false).await.0, [8, 9]);
    assert_eq!(relay.lines(), [format!("GET /v1/jobs/{JOB}/results?follow=false&after=7")]);
}

#[tokio::test]
async fn a_result_is_given_once() {
    let relay = FakeRelay::start(|_| chunks(&[line(2), line(2), line(1), line(3)], true)).await;
    assert_eq!(collect(&client(&relay), None, false).await.0, [2, 3]);
}

#[tokio::test]
async fn hostile_streams_end_with_an_error() {
    let long = "x".repeat(2 << 20);
    let noise = "{\"seq\":1}\n".to_owned();
    for body in [long, noise] {
        let relay = FakeRelay::start(move |_| chunks(std::slice::from_ref(&body), true)).await;
        let (seqs, end) = collect(&client(&relay), None, true).await;
        assert!(seqs.is_empty());
        assert_eq!(end.unwrap().code(), "bad_answer");
        assert_eq!(relay.lines().len(), 1, "trying again can't help");
    }
}

#[tokio::test]
async fn an_error_in_the_stream_is_an_error() {
    let text = "{\"error\":{\"code\":\"store\",\"message\":\"disk full\"}}\n";
    let relay = FakeRelay::start(move |_| error("404 Not Found", "no_such_job")).await;
    let end = collect(&client(&relay), None, true).await.1.unwrap();
    assert_eq!((end.code(), end.status(), end.retry()), ("no_such_job", Some(404), false));
    drop(relay);
    let count = AtomicUsize::new(0);
    let relay = FakeRelay::start(move |request| {
        let first = request.line.contains("results") && count.fetch_add(1, Ordering::SeqCst) == 0;
        let rest = if first { text.to_owned() } else { line(1) };
        if request.line.contains("results") {
            chunks(&[rest], true)
        } else {
            json(&job(JobState::Done))
        }
    })
    .await;
    assert_eq!(collect(&client(&relay), None, true).await.0, [1], "an overload passes");
}

#[tokio::test]
async fn requests_are_repeated_only_where_that_may_help() {
    for (status, expect) in
        [("503 Service Unavailable", 3), ("404 Not Found", 1), ("401 Unauthorized", 1)]
    {
        let relay = FakeRelay::start(move |_| error(status, "code")).await;
        let error = client(&relay).job(JOB).await.unwrap_err();
        assert_eq!(error.code(), "code");
        assert_eq!(relay.lines().len(), expect, "{status}");
    }
    // A job is submitted once, whatever happens.
    let relay = FakeRelay::start(|_| error("503 Service Unavailable", "code")).await;
    let input = TaskInput { name: "a".into(), files: Files::stdin(b"x".to_vec()) };
    let error =
        client(&relay).submit_job(new_job(Digest::of(b"m")), [Ok(input)]).await.unwrap_err();
    assert!(error.retry());
    assert_eq!(relay.lines(), ["POST /v1/jobs"]);
}

#[tokio::test]
async fn nobody_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&url, OwnerKey::new("k").unwrap()).unwrap();
    let error = client.account().await.unwrap_err();
    assert_eq!((error.code(), error.retry()), ("unreachable", true));
    assert_eq!(error.to_string(), format!("no relay answers at {url}"));
}

#[tokio::test]
async fn what_is_no_relay() {
    let html = || answer("200 OK", "<html>hello</html>");
    let moved = || answer("302 Found\r\nlocation: http://127.0.0.1:1/", "");
    let missing = || answer("404 Not Found", "<html>not found</html>");
    let empty = || answer("200 OK", "");
    let answers: [fn() -> Vec<u8>; 4] = [html, moved, missing, empty];
    for make in answers {
        let relay = FakeRelay::start(move |_| make()).await;
        assert_eq!(client(&relay).account().await.unwrap_err().code(), "bad_answer");
        assert_eq!(relay.lines().len(), 1);
    }
}

#[tokio::test]
async fn the_key_is_in_a_header_and_nowhere_else() {
    let relay = FakeRelay::start(|_| json(&job(JobState::Done))).await;
    client(&relay).job(JOB).await.unwrap();
    let request = relay.requests().remove(0);
    assert!(request.head.contains("authorization: bearer s3cret"), "{}", request.head);
    assert!(!request.line.contains("s3cret"));
}

#[tokio::test]
async fn a_relay_that_answers_for_another_module() {
    let info = ModuleInfo {
        source: Digest::of(b"another"),
        admitted: Digest::ZERO,
        admission: 1,
        source_bytes: 1,
        admitted_bytes: 1,
        memory_pages: 1,
    };
    let relay = FakeRelay::start(move |_| json(&info)).await;
    let error = client(&relay).submit_module(b"module".to_vec()).await.unwrap_err();
    assert_eq!(error.code(), "bad_answer");
}

#[tokio::test]
async fn small_inputs_travel_with_the_job_and_large_ones_before_it() {
    let module = Digest::of(b"source");
    let relay = FakeRelay::start(move |request| {
        if request.line.starts_with("PUT") {
            answer("204 No Content", "")
        } else {
            json(&job(JobState::Running))
        }
    })
    .await;
    let large = Files::stdin(vec![b'x'; 70_000]);
    let inputs = [Files::stdin(b"small".to_vec()), large.clone(), Files::stdin(Vec::new())];
    let named = inputs.iter().cloned().enumerate();
    let named = named.map(|(at, files)| Ok(TaskInput { name: format!("t{at}"), files }));
    let submitted = client(&relay).submit_job(new_job(module), named).await.unwrap();
    assert_eq!(submitted.inputs, inputs.each_ref().map(Files::digest));
    let requests = relay.requests();
    assert_eq!(
        relay.lines(),
        [format!("PUT /v1/blobs/{}", large.digest()), "POST /v1/jobs".into()]
    );
    assert_eq!(requests[0].body, large.encode());
    let job: NewJob = serde_json::from_slice(&requests[1].body).unwrap();
    let inline: Vec<_> = job.tasks.iter().map(|task| task.inline.is_some()).collect();
    assert_eq!(inline, [true, false, true]);
    assert_eq!(job.tasks[1].input, Some(large.digest()));
}

#[tokio::test]
async fn inputs_that_can_not_be_submitted() {
    let relay = FakeRelay::start(|_| json(&job(JobState::Running))).await;
    let client = client(&relay);
    let none = client.submit_job(new_job(Digest::ZERO), []).await.unwrap_err();
    assert!(matches!(none, JobError::Tasks));
    let unreadable = Err(std::io::Error::other("gone"));
    let error = client.submit_job(new_job(Digest::ZERO), [unreadable]).await.unwrap_err();
    assert_eq!(error.code(), "input_unreadable");
    let files = Files::stdin(vec![0; grid_protocol::limits::MAX_INPUT]);
    let huge = TaskInput { name: "huge".into(), files };
    let error = client.submit_job(new_job(Digest::ZERO), [Ok(huge)]).await.unwrap_err();
    assert_eq!(error.code(), "input_too_large");
    assert!(relay.lines().is_empty());
}

#[tokio::test]
async fn outputs_have_a_bound() {
    let relay = FakeRelay::start(|_| answer("200 OK", vec![0; 300_000])).await;
    let mut result = common::result(1, 0, common::spec(), common::body());
    let error = client(&relay).output(JOB, &result).await.unwrap_err();
    assert_eq!(error.code(), "bad_answer");
    result.spec.output_bytes = 300_000;
    assert_eq!(client(&relay).output(JOB, &result).await.unwrap().len(), 300_000);
    result.output = Some("not base64!".into());
    assert_eq!(client(&relay).output(JOB, &result).await.unwrap_err().code(), "bad_answer");
}
