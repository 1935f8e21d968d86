//! The HTTP API and the data path, with the relay in this process.

use crate::common::{self, BUDGET, Node, job, lines, receive, start, start_with, until, wasm};
use grid_protocol::api::{JobState, ModuleInfo, NetworkInfo, TaskInfo, TaskResult, TaskState};
use grid_protocol::{
    Delegation, Digest, Files, FromNode, RefuseCode, RejectCode, Side, SigningKey, Spec, ToNode,
};
use reqwest::{Method, header};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_job_from_submission_to_verified_results() {
    let relay = start().await;
    let info = relay.owner.submit_job(&[b"one", b"two", b"three"], None).await;
    assert_eq!((info.state, info.tasks, info.budget), (JobState::Running, 3, 600));
    assert_eq!(relay.owner.account().await, BUDGET - 600);

    let following = tokio::spawn({
        let owner = relay.owner.clone();
        async move { owner.results(info.id).await }
    });
    let mut node = relay.node(1).await;
    node.ready(3).await;
    let offers = [node.lease().await, node.lease().await, node.lease().await];
    for (fuel, offer) in [10, 11, 12].into_iter().zip(&offers) {
        let input = Files::decode(Side::Input, offer.input.as_ref().unwrap()).unwrap();
        let result = node.result(offer, input.get("stdin").unwrap(), fuel);
        node.deliver(&result).await;
    }

    let results = following.await.unwrap();
    let mut names = Vec::new();
    for result in &results {
        let receipt = result.receipt.clone().verify().unwrap();
        assert_eq!(receipt.body().spec, result.spec.digest());
        assert_eq!(receipt.digest(), result.ack.receipt);
        assert!(result.ack.seq < result.seq, "settled after it was committed");
        assert!(result.ack.size >= result.ack.seq);
        relay.relay.key().verify_strict(&result.ack.encode(), &result.ack_signature).unwrap();
        let path = format!("/v1/jobs/{}/tasks/{}/output", info.id, result.index);
        let (_, output) = relay.owner.get(&path).await;
        assert_eq!(Digest::of(&output), receipt.body().output);
        let files = Files::decode(Side::Output, &output).unwrap();
        assert_eq!(files.get("stdout"), Some(result.name.as_bytes()));
        names.push(result.name.clone());
    }
    names.sort();
    assert_eq!(names, ["one", "three", "two"]);
    assert!(results.windows(2).all(|pair| pair[0].seq < pair[1].seq));

    // What came after the first, and nothing follows the last.
    let path = format!("/v1/jobs/{}/results?after={}", info.id, results[0].seq);
    // (Acknowledgements name the log as it is when they are asked for.)
    let of = |result: &TaskResult| (result.seq, result.receipt.clone());
    let rest = lines(&relay.owner.get(&path).await.1);
    assert!(rest.iter().map(of).eq(results[1..].iter().map(of)), "{rest:?}");
    let info = relay.owner.job(info.id).await;
    assert_eq!((info.state, info.done, info.failed), (JobState::Done, 3, 0));
    assert_eq!(relay.owner.account().await, BUDGET - info.spent);
    let listed: Vec<grid_protocol::api::JobInfo> =
        relay.owner.json(Method::GET, "/v1/jobs", "").await;
    assert_eq!(listed, [info]);
    relay.finish().await;
}

#[tokio::test]
async fn who_may_do_what() {
    let relay = start().await;
    let info = relay.owner.submit_job(&[b"x"], None).await;
    let module: ModuleInfo = relay.owner.submit_module().await;
    let put = Files::stdin(b"secret".to_vec()).encode();
    let blob = format!("/v1/blobs/{}", Digest::of(&put));
    for _ in 0..2 {
        assert_eq!(relay.owner.ask(Method::PUT, &blob, put.clone()).await.0, 204);
    }
    assert_eq!(relay.owner.get(&blob).await, (reqwest::StatusCode::OK, put.clone()));

    let private = [
        format!("/v1/jobs/{}", info.id),
        format!("/v1/jobs/{}/tasks", info.id),
        format!("/v1/jobs/{}/results", info.id),
        format!("/v1/jobs/{}/tasks/0/output", info.id),
        format!("/v1/modules/{}", module.source),
        format!("/v1/modules/{}/admitted", module.source),
        blob.clone(),
    ];
    let mut other = relay.owner.clone();
    other.key = relay.relay.add_owner("bob", 1_000).await.unwrap();
    let nobody = common::Owner { key: "grid_wrong".into(), ..relay.owner.clone() };
    for path in &private {
        assert_eq!(other.error(Method::GET, path, "").await, (404, "not_found".into()), "{path}");
        let refused = (401, "unauthorized".into());
        assert_eq!(nobody.error(Method::GET, path, "").await, refused, "{path}");
    }
    let cancel = format!("/v1/jobs/{}/cancel", info.id);
    assert_eq!(other.error(Method::POST, &cancel, "").await.0, 404);
    // Another's input and module are unknown even to who knows their digests.
    let steal = json!({
        "module": module.source, "fuel": 10, "tasks": [{"input": Digest::of(&put)}]
    });
    let stolen = other.error(Method::POST, "/v1/jobs", steal.to_string()).await;
    assert_eq!(stolen, (422, "module_unknown".into()));
    other.submit_module().await;
    let stolen = other.error(Method::POST, "/v1/jobs", steal.to_string()).await;
    assert_eq!(stolen, (422, "input_unknown".into()));
    // A key in the address is no key.
    let url = format!("{}/v1/account?key={}", relay.owner.base, relay.owner.key);
    assert_eq!(common::get(&url).await.status(), 401);

    let dir = relay.dir.path().to_owned();
    let revoke = move || grid_relay::revoke_owner(&dir, "bob");
    tokio::task::spawn_blocking(revoke).await.unwrap().unwrap();
    assert_eq!(other.error(Method::GET, "/v1/account", "").await.0, 401);
    relay.finish().await;
}

#[tokio::test]
async fn bad_requests_have_one_shape() {
    let relay = start().await;
    let owner = &relay.owner;
    let module = owner.submit_module().await;
    let good = job(&module, &[b"x"], None);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut job = good.clone();
        change(&mut job);
        job.to_string()
    };
    let post = Method::POST;
    for (what, body, status, code) in [
        ("no json", "{".to_owned(), 400, "bad_request"),
        ("unknown field", with(&|j| j["fule"] = json!(1)), 400, "bad_request"),
        ("no tasks", with(&|j| j["tasks"] = json!([])), 400, "bad_request"),
        ("task without input", with(&|j| j["tasks"] = json!([{}])), 400, "bad_request"),
        ("not base64", with(&|j| j["tasks"][0]["inline"] = json!("é")), 400, "bad_request"),
        ("not a list", with(&|j| j["tasks"][0]["inline"] = json!("AAAA")), 400, "bad_request"),
        ("long name", with(&|j| j["name"] = json!("n".repeat(201))), 400, "bad_request"),
        ("no module", with(&|j| j["module"] = json!(Digest::ZERO)), 422, "module_unknown"),
        ("no fuel", with(&|j| j["fuel"] = json!(0)), 422, "bad_spec"),
        ("NUL", with(&|j| j["args"] = json!(["a\0"])), 422, "bad_spec"),
        ("budget below a task", with(&|j| j["budget"] = json!(99)), 402, "budget_too_small"),
        ("over the owner's", with(&|j| j["budget"] = json!(BUDGET + 1)), 402, "budget_too_small"),
    ] {
        let answer = owner.error(post.clone(), "/v1/jobs", body).await;
        assert_eq!(answer, (status, code.to_owned()), "{what}");
    }
    for (what, method, path, body, status, code) in [
        ("no such page", Method::GET, "/v2".into(), "".into(), 404, "not_found"),
        ("no id", Method::GET, "/v1/jobs/zz".into(), "".into(), 404, "not_found"),
        ("method", Method::DELETE, "/v1/jobs".into(), "".into(), 405, "method_not_allowed"),
        (
            "digest",
            Method::PUT,
            format!("/v1/blobs/{}", Digest::ZERO),
            Files::stdin(vec![1]).encode(),
            422,
            "bad_blob",
        ),
        (
            "no list",
            Method::PUT,
            format!("/v1/blobs/{}", Digest::of(b"x")),
            b"x".to_vec(),
            422,
            "bad_blob",
        ),
        ("no module", post.clone(), "/v1/modules".into(), b"x".to_vec(), 422, "module_refused"),
        ("large", post, "/v1/modules".into(), vec![0; (32 << 20) + 1], 413, "too_large"),
    ] {
        let answer = owner.error(method, &path, body).await;
        assert_eq!(answer, (status, code.to_owned()), "{what}");
    }
    assert_eq!(relay.metric("grid_http_errors_total{code=\"too_large\"}").await, 1.0);
    assert_eq!(owner.account().await, BUDGET);
    relay.finish().await;
}

#[tokio::test]
async fn large_bodies_are_blobs_that_a_lease_opens() {
    let relay = start().await;
    let input = Files::stdin(vec![1; 100_000]).encode();
    let digest = Digest::of(&input);
    let path = format!("/v1/blobs/{digest}");
    assert_eq!(relay.owner.ask(Method::PUT, &path, input.clone()).await.0, 204);
    let module = relay.owner.submit_module().await;
    let mut job = job(&module, &[], None);
    job["tasks"] = json!([{"input": digest}]);
    let info: grid_protocol::api::JobInfo =
        relay.owner.json(Method::POST, "/v1/jobs", job.to_string()).await;

    let mut node = relay.node(1).await;
    node.ready(1).await;
    let offer = node.lease().await;
    assert_eq!(offer.input, None);
    let spec = Spec::decode(&offer.spec).unwrap();
    let token = |text: String| format!("Lease {}:{text}", offer.lease);
    let ask = |method: Method, digest: Digest, token: String, body: Vec<u8>| {
        let url = format!("{}/v1/blobs/{digest}", relay.owner.base);
        let request = common::http().request(method, url).body(body);
        let request = request.header(header::AUTHORIZATION, token).header(header::ORIGIN, "x");
        async move {
            let response = request.send().await.unwrap();
            let open = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_some();
            assert!(open, "no page could read this");
            (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
        }
    };
    let good = token(hex::encode(offer.token.0));
    assert_eq!(ask(Method::GET, digest, good.clone(), vec![]).await, (200, input));
    let (_, admitted) = ask(Method::GET, spec.module, good.clone(), vec![]).await;
    assert_eq!((admitted.len() as u32, Digest::of(&admitted)), (offer.module_bytes, spec.module));
    assert_eq!(ask(Method::GET, module.source, good.clone(), vec![]).await.0, 404);
    assert_eq!(ask(Method::GET, digest, token("00".repeat(16)), vec![]).await.0, 401);
    assert_eq!(ask(Method::PUT, digest, token("00".repeat(16)), vec![]).await.0, 401);

    let mut result = node.result(&offer, &[2; 100_000], 5);
    let output = result.output.take().unwrap();
    // Claimed, but not uploaded.
    let digest = Digest::of(&output);
    let too_large =
        Files::decode(Side::Output, &node.result(&offer, &[2; 999_995], 5).output.unwrap());
    let too_large = too_large.unwrap().encode();
    let put = ask(Method::PUT, Digest::of(&too_large), good.clone(), too_large).await;
    assert_eq!(put.0, 422, "over the spec's limit");
    assert_eq!(ask(Method::PUT, digest, good.clone(), output.clone()).await.0, 204);
    node.deliver(&result).await;
    let results = relay.owner.results(info.id).await;
    assert_eq!(results[0].output, None);
    let (_, got) = relay.owner.get(&format!("/v1/jobs/{}/tasks/0/output", info.id)).await;
    assert_eq!(got, output);
    // The lease is over, and opens nothing.
    assert_eq!(ask(Method::GET, spec.module, good, vec![]).await.0, 401);
    relay.finish().await;
}

#[tokio::test]
async fn a_blob_that_another_put_is_no_output() {
    let relay = start().await;
    relay.owner.submit_job(&[b"x"], None).await;
    let mut node = relay.node(1).await;
    node.ready(1).await;
    let offer = node.lease().await;
    let mut result = node.result(&offer, b"out", 5);
    result.output = None;
    node.send_result(&result).await;
    assert_eq!(node.rejected().await, RejectCode::Output.number());
    relay.finish().await;
}

#[tokio::test]
async fn cancelling_stops_nodes_and_refunds() {
    let relay = start().await;
    let info = relay.owner.submit_job(&[b"1", b"2", b"3"], None).await;
    let mut node = relay.node(1).await;
    node.ready(2).await;
    let (first, second) = (node.lease().await, node.lease().await);
    let result = node.result(&first, b"", 40);
    node.deliver(&result).await;
    let path = format!("/v1/jobs/{}/cancel", info.id);
    let info: grid_protocol::api::JobInfo = relay.owner.json(Method::POST, &path, "").await;
    assert_eq!((info.state, info.done, info.leased, info.spent), (JobState::Cancelled, 1, 0, 40));
    assert_eq!(node.receive().await, ToNode::Cancel { lease: second.lease });
    let late = node.result(&second, b"", 40);
    node.send_result(&late).await;
    assert_eq!(node.rejected().await, RejectCode::JobOver.number());
    assert_eq!(relay.owner.account().await, BUDGET - 40);
    let tasks: Vec<TaskInfo> =
        relay.owner.json(Method::GET, &format!("/v1/jobs/{}/tasks", info.id), "").await;
    let states: Vec<_> = tasks.iter().map(|task| task.state).collect();
    assert_eq!(states, [TaskState::Done, TaskState::Dropped, TaskState::Dropped]);
    assert_eq!(relay.owner.results(info.id).await.len(), 1);
    // Twice is as good as once.
    let again: grid_protocol::api::JobInfo = relay.owner.json(Method::POST, &path, "").await;
    assert_eq!(again, info);
    relay.finish().await;
}

#[tokio::test]
async fn a_job_ends_when_its_budget_does() {
    let relay = start().await;
    let info = relay.owner.submit_job(&[b"1", b"2", b"3"], Some(250)).await;
    let mut node = relay.node(1).await;
    node.ready(3).await;
    let (first, second) = (node.lease().await, node.lease().await);
    // 250 covers two leases of 100; the first result leaves room for a third
    // only if it used no more than 50.
    let result = node.result(&first, b"", 60);
    node.deliver(&result).await;
    let result = node.result(&second, b"", 100);
    node.deliver(&result).await;
    assert_eq!(relay.owner.results(info.id).await.len(), 2);
    let info = relay.owner.job(info.id).await;
    assert_eq!((info.state, info.done, info.spent), (JobState::OutOfBudget, 2, 160));
    assert_eq!(relay.owner.account().await, BUDGET - 160);
    relay.finish().await;
}

#[tokio::test]
async fn a_restart_keeps_everything_and_leases_the_rest() {
    let relay = start().await;
    let info = relay.owner.submit_job(&[b"1", b"2", b"3"], None).await;
    let mut node = relay.node(1).await;
    node.ready(2).await;
    let (first, second) = (node.lease().await, node.lease().await);
    let accepted = node.result(&first, b"", 30);
    let seq = node.deliver(&accepted).await;
    let key = relay.relay.key();

    let relay = relay.restart().await;
    assert_eq!(relay.relay.key(), key);
    let mut node = Node::join(&relay.relay, 1, &[first.lease, second.lease]).await;
    assert_eq!((node.standing.len(), node.tasks), (0, 1));
    // The same receipt gets the same acknowledgement, not a second entry.
    assert_eq!(node.deliver(&accepted).await, seq);
    let mut other = accepted.clone();
    other.receipt = node.result(&first, b"", 31).receipt;
    other.signature = node.key.sign(&other.receipt);
    node.send_result(&other).await;
    assert_eq!(node.rejected().await, RejectCode::Lease.number());
    let lost = node.result(&second, b"", 30);
    node.send_result(&lost).await;
    assert_eq!(node.rejected().await, RejectCode::Lease.number());
    node.ready(2).await;
    for offer in [node.lease().await, node.lease().await] {
        assert_ne!(offer.lease, second.lease);
        let result = node.result(&offer, b"", 30);
        node.deliver(&result).await;
    }
    assert_eq!(relay.owner.results(info.id).await.len(), 3);
    assert_eq!(relay.owner.account().await, BUDGET - 90);
    assert_eq!(relay.metric("grid_recoveries_total{reason=\"start\"}").await, 1.0);
    relay.finish().await;
}

#[tokio::test]
async fn a_node_that_vanished_goes_on_where_it_was() {
    let relay = start().await;
    relay.owner.submit_job(&[b"1", b"2"], None).await;
    let mut node = relay.node(1).await;
    node.ready(2).await;
    let (kept, dropped) = (node.lease().await, node.lease().await);
    drop(node);
    let mut node = Node::join(&relay.relay, 1, &[kept.lease]).await;
    assert_eq!(node.standing, [kept.lease]);
    let result = node.result(&kept, b"", 1);
    node.deliver(&result).await;
    // What it doesn't hold any more is leased again, to it as well.
    node.ready(1).await;
    let offer = node.lease().await;
    assert_ne!(offer.lease, dropped.lease);
    relay.finish().await;
}

#[tokio::test]
async fn a_node_that_stays_away_is_too_late() {
    let relay = start_with(|config| config.grace = Duration::from_millis(100)).await;
    relay.owner.submit_job(&[b"1"], None).await;
    let mut gone = relay.node(1).await;
    gone.ready(1).await;
    let offer = gone.lease().await;
    let result = gone.result(&offer, b"", 1);
    drop(gone);
    let mut other = relay.node(2).await;
    other.ready(1).await;
    let offer = other.lease().await;
    let mut back = Node::join(&relay.relay, 1, &[]).await;
    back.send_result(&result).await;
    assert_eq!(back.rejected().await, RejectCode::Lease.number());
    let stolen = {
        let mut result = back.result(&offer, b"", 1);
        result.hint = Some("not mine".into());
        result
    };
    back.send_result(&stolen).await;
    assert_eq!(back.rejected().await, RejectCode::NotYours.number());
    let result = other.result(&offer, b"", 1);
    other.deliver(&result).await;
    relay.finish().await;
}

#[tokio::test]
async fn the_newest_socket_of_a_key_wins() {
    let relay = start().await;
    let mut old = relay.node(1).await;
    let _new = relay.node(1).await;
    let refused = receive(&mut old.socket).await;
    let Some(ToNode::Refused { code, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(code, RefuseCode::Replaced.number());
    assert!(receive(&mut old.socket).await.is_none());
    assert_eq!(relay.metric("grid_nodes_online").await, 1.0);
    relay.finish().await;
}

#[tokio::test]
async fn a_delegation_goes_on_record_once() {
    let relay = start().await;
    let account = SigningKey::from_seed([9; 32]);
    let node = SigningKey::from_seed([1; 32]).public();
    for _ in 0..2 {
        let delegation = Delegation::sign(&account, &node);
        Node::join_as(&relay.relay, 1, &[], Some(delegation)).await;
    }
    let dir = relay.finish().await;
    let path = dir.path().to_owned();
    let links = rusqlite::Connection::open(path.join("grid.sqlite")).unwrap().query_row(
        "SELECT count(*) FROM entries WHERE kind = 6",
        [],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(links, Ok(1));
}

#[tokio::test]
async fn a_shutdown_acknowledges_and_says_goodbye() {
    let relay = start().await;
    relay.owner.submit_job(&[b"1", b"2"], None).await;
    let mut node = relay.node(1).await;
    let mut joining = common::connect(&relay.relay).await;
    node.ready(1).await;
    let offer = node.lease().await;
    let result = node.result(&offer, b"", 1);
    node.send_result(&result).await;
    until(|| async { relay.metric("grid_receipts_accepted_total").await == 1.0 }).await;
    let stopped = tokio::spawn(relay.finish());
    node.acked(&result).await;
    for socket in [&mut node.socket, &mut joining] {
        let Some(ToNode::Refused { code, .. }) = receive(socket).await else { panic!() };
        assert_eq!(code, RefuseCode::Closing.number());
    }
    stopped.await.unwrap();
}

#[tokio::test]
async fn the_public_sees_the_network() {
    let relay = start().await;
    relay.owner.submit_job(&[b"1", b"2"], None).await;
    let mut node = relay.node(1).await;
    node.ready(1).await;
    let offer = node.lease().await;
    let result = node.result(&offer, b"", 7);
    node.deliver(&result).await;
    let get = async |path: &str| common::get(&format!("{}{path}", relay.owner.base)).await;
    until(|| async {
        let info: NetworkInfo = get("/v1/network").await.json().await.unwrap();
        let seen = (info.nodes_online, info.tasks_waiting, info.tasks_done, info.fuel);
        seen == (1, 1, 1, 7) && info.nodes[0].agent == "test 1" && info.receipts.len() == 1
    })
    .await;
    let mut live = get("/v1/network/live").await;
    let event = live.chunk().await.unwrap().unwrap();
    let json = event.strip_prefix(b"data: ").unwrap();
    let info: NetworkInfo = serde_json::from_slice(json.trim_ascii()).unwrap();
    assert_eq!(info.relay, relay.relay.key());

    let page = get("/").await;
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"));
    assert!(!policy.contains("'unsafe-"), "inline code or eval: {policy}");
    assert_eq!(page.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(page.text().await.unwrap().contains("<title>Grid"));
    assert_eq!(get("/healthz").await.status(), 200);
    let metrics = get("/metrics").await.text().await.unwrap();
    for name in ["grid_commit_seconds_bucket", "grid_lease_seconds_sum", "grid_tasks{"] {
        assert!(metrics.contains(name), "{name} is missing");
    }
    let blob = format!("{}/v1/blobs/{}", relay.owner.base, Digest::ZERO);
    let preflight = common::http()
        .request(Method::OPTIONS, blob)
        .header(header::ORIGIN, "chrome-extension://x")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "PUT")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 200);
    assert_eq!(preflight.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    drop(live);
    relay.finish().await;
}

#[tokio::test]
async fn a_module_is_admitted_once_and_kept() {
    let relay = start().await;
    let module = relay.owner.submit_module().await;
    assert_eq!(module.source, Digest::of(&wasm()));
    let (_, admitted) = relay.owner.get(&format!("/v1/modules/{}/admitted", module.source)).await;
    assert_eq!(Digest::of(&admitted), module.admitted);
    assert_eq!(admitted, grid_sandbox::admit(&wasm()).unwrap().bytes);
    assert_eq!(relay.owner.submit_module().await, module);
    relay.finish().await;
}

#[tokio::test]
async fn a_task_given_back_goes_elsewhere() {
    let relay = start().await;
    relay.owner.submit_job(&[b"1"], None).await;
    let mut first = relay.node(1).await;
    let mut second = relay.node(2).await;
    first.ready(4).await;
    let lease = first.lease().await.lease;
    let back = FromNode::GiveBack { lease, reason: 2, detail: String::new() };
    common::send(&mut first.socket, &back).await;
    second.ready(1).await;
    second.lease().await;
    assert_eq!(relay.metric("grid_leases_over_total{reason=\"device\"}").await, 1.0);
    relay.finish().await;
}
