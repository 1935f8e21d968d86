//! OpenAI's API, its errors, and what is Grid's about it.

#[path = "mod.rs"]
mod common;

use anyhow::{Context as _, Result};
use common::{Fixture, error_of, fits_stream, model_file};
use grid_infer::file::Header;
use grid_protocol::api::{JobState, ResultStanding, TaskResult};
use grid_protocol::infer::Work;
use grid_protocol::{Digest, FromNode, Partial};
use grid_relay::TrustConfig;
use grid_testing::{InferNode, InferNodeSetup, ScriptedNode, TOO_LONG};
use grid_tests::{eventually, key};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

fn hello() -> Value {
    json!({"model": "talker", "temperature": 0,
        "messages": [{"role": "user", "content": "hello my friends"}]})
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

#[tokio::test]
async fn chat_is_answered_with_its_receipt() -> Result<()> {
    let test = Fixture::start(|_| {}).await?;
    let _node = test.node(1).await?;
    let response = test.post("/v1/chat/completions", hello()).await?;
    assert_eq!(response.status(), StatusCode::OK);
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("grid-notice"), Some("nodes see the prompt"));
    assert_eq!(header("grid-standing"), Some("canonical"));
    let receipt = header("grid-receipt").context("no receipt")?.to_owned();
    let body: Value = response.json().await?;
    assert_eq!(body["choices"][0]["message"]["content"], "hello my friends");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["object"], "chat.completion");
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6});
    assert_eq!(body["usage"], usage);

    let path = receipt.strip_prefix(&test.origin).context("the address is the relay's")?;
    let result: TaskResult = test.get(path).await?.json().await?;
    assert_eq!(result.standing, ResultStanding::Canonical);
    assert_eq!(result.spec.module, test.talker);
    assert_eq!(result.receipt.body.spec, result.spec.digest());
    assert_ne!(result.receipt.body.check, Digest::ZERO);
    let job: Value = test.get(&path.replace("/tasks/0/result", "")).await?.json().await?;
    assert_eq!((&job["runtime"], &job["state"]), (&json!("infer"), &json!("done")));
    assert_eq!(job["spent"], result.receipt.body.fuel);
    Ok(())
}

#[tokio::test]
async fn parameters_do_what_they_say() -> Result<()> {
    let test = Fixture::start(|_| {}).await?;
    let _node = test.node(1).await?;
    let text = async |body: Value| -> Result<(String, String)> {
        let body: Value = test.post("/v1/chat/completions", body).await?.json().await?;
        let choice = &body["choices"][0];
        let text = choice["message"]["content"].as_str().with_context(|| body.to_string())?;
        Ok((text.to_owned(), choice["finish_reason"].as_str().unwrap_or_default().to_owned()))
    };
    let hello = hello();
    let stop = with(hello.clone(), "stop", json!([" my", "x"]));
    assert_eq!(text(stop).await?.0, "hello");
    for name in ["max_tokens", "max_completion_tokens"] {
        let short = with(hello.clone(), name, json!(2));
        assert_eq!(text(short).await?, ("hello my".into(), "length".into()));
    }
    let seeded = with(with(hello.clone(), "temperature", json!(0.5)), "seed", json!(77));
    assert_eq!(text(seeded.clone()).await?.0, "77 hello my friends");
    assert_eq!(text(seeded).await?.0, "77 hello my friends");
    let parts = json!([{"role": "user", "content": [{"type": "text", "text": "in "},
        {"type": "text", "text": "parts"}]}]);
    assert_eq!(text(with(hello, "messages", parts)).await?.0, "in parts");
    let completion = json!({"model": test.talker, "prompt": "go on", "temperature": 0});
    let body: Value = test.post("/v1/completions", completion).await?.json().await?;
    assert_eq!(
        (&body["object"], &body["choices"][0]["text"]),
        (&json!("text_completion"), &json!("go on"))
    );
    Ok(())
}

#[tokio::test]
async fn embeddings_come_in_order_from_many_tasks() -> Result<()> {
    let test = Fixture::start(|_| {}).await?;
    let _nodes = [test.node(1).await?, test.node(2).await?];
    let texts: Vec<String> = (0..40).map(|number| format!("text {number}")).collect();
    let body = json!({"model": "embedder", "input": texts});
    let answer: Value = test.post("/v1/embeddings", body).await?.json().await?;
    let data = answer["data"].as_array().context("no data")?;
    assert_eq!(data.len(), 40);
    for (number, (text, item)) in texts.iter().zip(data).enumerate() {
        let first = (f32::from(Digest::of(text.as_bytes()).0[0]) - 127.5) / 256.0;
        assert_eq!((&item["index"], &item["embedding"][0]), (&json!(number), &json!(first)));
    }
    assert_eq!(answer["usage"], json!({"prompt_tokens": 80, "total_tokens": 80}));
    let body = json!({"model": "embedder", "input": "one", "encoding_format": "base64"});
    let answer: Value = test.post("/v1/embeddings", body).await?.json().await?;
    assert_eq!(answer["data"][0]["embedding"].as_str().map(str::len), Some(44));
    Ok(())
}

/// The data of a stream's events.
fn events(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

#[tokio::test]
async fn a_stream_gives_text_before_the_result() -> Result<()> {
    let test = Fixture::start(|_| {}).await?;
    let mut node = join(&test, 1).await?;
    let body = with(hello(), "stream", json!(true));
    let body = with(body, "stream_options", json!({"include_usage": true}));
    node.send(&FromNode::Ready { slots: 1 }).await?;
    let mut response = test.post("/v1/chat/completions", body).await?;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let receipt = response.headers()["grid-receipt"].to_str()?.to_owned();
    let path = receipt.strip_prefix(&test.origin).context("the address is the relay's")?;
    let offer = match node.next().await? {
        Some(grid_protocol::ToNode::Lease(offer)) => offer,
        other => anyhow::bail!("no lease: {other:?}"),
    };
    let partial = |offset: u32, text: &str| {
        FromNode::Partial(Partial { lease: offer.lease, offset, text: text.into() })
    };
    // Said twice, with a gap, and of another's lease.
    for message in [
        partial(0, "hel"),
        partial(0, "hello"),
        partial(9, "gap"),
        FromNode::Partial(Partial {
            lease: grid_protocol::LeaseId([9; 16]),
            offset: 5,
            text: "no".into(),
        }),
        partial(5, " my"),
    ] {
        node.send(&message).await?;
    }
    let mut text = String::new();
    while !text.contains(" my") {
        let chunk = response.chunk().await?.context("the stream ended before the text")?;
        text.push_str(std::str::from_utf8(&chunk)?);
    }
    // There is no result yet, and the text is only what it was.
    assert_eq!(test.get(path).await?.status(), StatusCode::NOT_FOUND);
    assert!(!text.contains("gap") && !text.contains("[DONE]"));
    let answer = json!({"text": "hello my friends", "tokens": [5, 2, 7], "finish": "stop",
        "prompt_tokens": 3});
    let (mut body, output) = node.receipt(&offer, answer.to_string().as_bytes())?;
    body.check = Digest::of(b"states");
    node.send_result(&body, &output).await?;
    while let Some(chunk) = response.chunk().await? {
        text.push_str(std::str::from_utf8(&chunk)?);
    }
    fits_stream("/v1/chat/completions", &text)?;
    let events = events(&text);
    assert_eq!(events.last(), Some(&"[DONE]"));
    let events: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|event| serde_json::from_str(event))
        .collect::<Result<_, _>>()?;
    let said: String = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said, "hello my friends");
    let finish = &events[events.len() - 2]["choices"][0]["finish_reason"];
    assert_eq!(
        (finish, &events[events.len() - 1]["usage"]["total_tokens"]),
        (&json!("stop"), &json!(6))
    );
    assert_eq!(test.get(path).await?.status(), StatusCode::OK);
    Ok(())
}

/// A node that does what the test says, and infers.
async fn join(test: &Fixture, number: u8) -> Result<ScriptedNode> {
    let mut node = ScriptedNode::connect(&test.origin, key(number)).await?;
    let challenge = node.hello().await?;
    let mut join = node.join_message(&challenge);
    let arithmetics = vec![grid_protocol::infer::ARITHMETIC];
    join.inference = Some(grid_protocol::Inference { arithmetics, models: vec![] });
    node.send(&FromNode::Join(join)).await?;
    node.next().await?.context("not welcome")?;
    Ok(node)
}

#[tokio::test]
async fn text_that_was_not_signed_ends_a_stream_with_an_error() -> Result<()> {
    let test = Fixture::start(|_| {}).await?;
    let mut node = join(&test, 1).await?;
    node.send(&FromNode::Ready { slots: 1 }).await?;
    let mut response =
        test.post("/v1/chat/completions", with(hello(), "stream", json!(true))).await?;
    let Some(grid_protocol::ToNode::Lease(offer)) = node.next().await? else {
        anyhow::bail!("no lease")
    };
    let partial = Partial { lease: offer.lease, offset: 0, text: "good bye".into() };
    node.send(&FromNode::Partial(partial)).await?;
    let mut text = String::new();
    while !text.contains("good bye") {
        let chunk = response.chunk().await?.context("the stream ended before the text")?;
        text.push_str(std::str::from_utf8(&chunk)?);
    }
    let answer = json!({"text": "hello", "tokens": [5], "finish": "stop", "prompt_tokens": 3});
    let (mut body, output) = node.receipt(&offer, answer.to_string().as_bytes())?;
    body.check = Digest::of(b"states");
    node.send_result(&body, &output).await?;
    text.push_str(&response.text().await?);
    assert!(text.contains("text_replaced"), "{text}");
    fits_stream("/v1/chat/completions", &text)?;
    Ok(())
}

#[tokio::test]
async fn errors_have_openai_s_shape() -> Result<()> {
    let test = Fixture::start(|_| {}).await?;
    let _node = test.node(1).await?;
    let chat = "/v1/chat/completions";
    let check = async |path: &str, body: Value, expected: (u16, &str, Value)| -> Result<()> {
        let (status, code, param) = test.error(path, body.clone()).await?;
        assert_eq!((status, code.as_str(), param), expected, "{body}");
        Ok(())
    };
    let invalid = |param: &str| (400, "invalid_value", json!(param));
    check(chat, with(hello(), "model", json!("gpt")), (404, "model_not_found", json!("model")))
        .await?;
    check(
        chat,
        with(hello(), "model", json!("embedder")),
        (400, "unsupported_value", json!("model")),
    )
    .await?;
    check(chat, with(hello(), "n", json!(2)), (400, "unsupported_value", json!("n"))).await?;
    check(chat, with(hello(), "top_p", json!(0.5)), (400, "unsupported_value", json!("top_p")))
        .await?;
    check(chat, with(hello(), "tools", json!([])), (400, "unsupported_parameter", json!("tools")))
        .await?;
    check(chat, with(hello(), "temperature", json!(3)), invalid("temperature")).await?;
    check(chat, with(hello(), "max_tokens", json!(0)), invalid("max_tokens")).await?;
    check(chat, with(hello(), "max_tokens", json!(1_000_000)), invalid("max_tokens")).await?;
    check(chat, with(hello(), "stop", json!(["a", "b", "c", "d", "e"])), invalid("stop")).await?;
    check(chat, with(hello(), "messages", json!([])), invalid("messages")).await?;
    let tool = json!([{"role": "tool", "content": "x"}]);
    check(chat, with(hello(), "messages", tool), invalid("messages[0].role")).await?;
    let long = json!([{"role": "user", "content": "x".repeat(60_000)}]);
    check(chat, with(hello(), "messages", long), invalid("messages")).await?;
    let missing = (400, "missing_required_parameter", json!("messages"));
    check(chat, json!({"model": "talker"}), missing).await?;
    check(chat, json!([]), (400, "invalid_json", Value::Null)).await?;
    let embeddings = "/v1/embeddings";
    let body = |input: Value| json!({"model": "embedder", "input": input});
    check(embeddings, body(json!([[1, 2]])), invalid("input")).await?;
    check(embeddings, body(json!([])), invalid("input")).await?;
    check(embeddings, body(json!(vec!["x"; 2049])), invalid("input")).await?;
    let unsupported = (400, "unsupported_parameter", json!("dimensions"));
    check(embeddings, with(body(json!("x")), "dimensions", json!(4)), unsupported).await?;
    // What the model itself can't take: the node says so, and is believed.
    let refused = (400, "refused_by_model", Value::Null);
    check(embeddings, body(json!([TOO_LONG])), refused.clone()).await?;
    let long = json!([{"role": "user", "content": TOO_LONG}]);
    check(chat, with(hello(), "messages", long), refused).await?;

    let http = reqwest::Client::builder().no_proxy().build()?;
    let request = http.post(format!("{}{chat}", test.origin)).bearer_auth("grid_wrong");
    let (status, code, _) = error_of(request.body(hello().to_string()).send().await?).await?;
    assert_eq!((status, code.as_str()), (401, "invalid_api_key"));
    let poor = test.relay.add_owner("poor", 10).await?;
    let request = http.post(format!("{}{chat}", test.origin)).bearer_auth(poor);
    let (status, code, _) = error_of(request.body(hello().to_string()).send().await?).await?;
    assert_eq!((status, code.as_str()), (429, "insufficient_quota"));
    Ok(())
}

#[tokio::test]
async fn without_a_node_a_call_is_told_so() -> Result<()> {
    let test = Fixture::start(|_| {}).await?;
    // One that runs modules only is no help.
    let _modules = ScriptedNode::join(&test.origin, key(1)).await?;
    let (status, code, _) = test.error("/v1/chat/completions", hello()).await?;
    assert_eq!((status, code.as_str()), (503, "no_node"));
    let jobs: Value = test.get("/v1/jobs").await?.json().await?;
    assert_eq!(jobs, json!([]), "nothing was submitted");
    Ok(())
}

#[tokio::test]
async fn nobody_waits_and_the_job_ends() -> Result<()> {
    let test = Fixture::start(|_| {}).await?;
    let _idle = join(&test, 1).await?;
    let mut response =
        test.post("/v1/chat/completions", with(hello(), "stream", json!(true))).await?;
    response.chunk().await?.context("no first event")?;
    drop(response);
    eventually("the job is cancelled", async || {
        let jobs: Value = test.get("/v1/jobs").await?.json().await?;
        Ok(jobs[0]["state"] == json!(JobState::Cancelled))
    })
    .await
}

#[tokio::test]
async fn a_check_gets_the_claim_and_a_lie_is_caught() -> Result<()> {
    let trust = TrustConfig { diversity: false, ..TrustConfig::default() };
    let roster = std::time::Duration::from_millis(1);
    let test = Fixture::start(|config| config.trust = TrustConfig { roster, ..trust }).await?;
    let liar = InferNodeSetup { lies: true, ..test.setup(1) };
    let liar = InferNode::start(&test.origin, liar).await?;
    let body: Value = test.post("/v1/chat/completions", hello()).await?.json().await?;
    // Nobody else is there: the relay checks it itself, with the claim.
    assert_eq!(body["choices"][0]["message"]["content"], "hello my friends", "{body}");
    assert_eq!(test.runtime.drafted.load(Ordering::Relaxed), 1);
    assert_eq!(liar.drafts(), [None]);
    let standing: Value = test.get(&format!("/v1/nodes/{}", key(1).public())).await?.json().await?;
    assert_eq!(standing["state"], "caught");

    let honest = [test.node(2).await?, test.node(3).await?];
    let ask = with(hello(), "messages", json!([{"role": "user", "content": "something else"}]));
    let body: Value = test.post("/v1/chat/completions", ask).await?.json().await?;
    assert_eq!(body["choices"][0]["message"]["content"], "something else", "{body}");
    let drafts: Vec<_> = honest.iter().flat_map(InferNode::drafts).collect();
    assert!(drafts.contains(&None), "one generated");
    let draft = drafts.iter().flatten().next().context("none checked with the claim")?;
    let claim: Value = serde_json::from_slice(draft)?;
    assert_eq!(claim["text"], "something else");
    Ok(())
}

#[tokio::test]
async fn models_are_listed_and_fetched_in_blocks() -> Result<()> {
    let test = Fixture::start(|_| {}).await?;
    let list: Value = test.get("/v1/models").await?.json().await?;
    let names: Vec<_> = list["data"].as_array().context("no data")?.iter().collect();
    assert_eq!((&names[0]["id"], &names[1]["id"]), (&json!("embedder"), &json!("talker")));
    let one: Value = test.get("/v1/models/talker").await?.json().await?;
    assert_eq!((&one["digest"], &one["bytes"]), (&json!(test.talker), &json!(3 << 20)));
    let missing = error_of(test.get("/v1/models/none").await?).await?;
    assert_eq!(missing, (404, "model_not_found".into(), json!("model")));

    // As a node does it, without a key.
    let file = model_file(Work::Generate, 3);
    let header = Header::decode(&file[..Header::length(&file)?])?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let base = format!("{}/v1/models/{}", test.origin, test.talker);
    let response = http.get(format!("{base}/header")).send().await?;
    assert!(response.headers()["cache-control"].to_str()?.contains("immutable"));
    assert_eq!(Digest::of(&response.bytes().await?), test.talker);
    for (number, digest) in header.blocks.iter().enumerate() {
        let block = http.get(format!("{base}/blocks/{number}")).send().await?;
        let tag = block.headers()["etag"].clone();
        assert_eq!(Digest::of(&block.bytes().await?), *digest);
        let again = http.get(format!("{base}/blocks/{number}")).header("if-none-match", tag);
        assert_eq!(again.send().await?.status(), StatusCode::NOT_MODIFIED);
    }
    for wrong in ["blocks/3", "blocks/x", "blocks/-1"] {
        assert_eq!(http.get(format!("{base}/{wrong}")).send().await?.status(), 404);
    }
    Ok(())
}

#[tokio::test]
async fn models_are_the_operator_s_to_add_and_remove() -> Result<()> {
    let test = Fixture::start(|_| {}).await?;
    let data = test.data.path().to_owned();
    let models = grid_relay::models(&data)?;
    assert_eq!(
        models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(),
        ["embedder", "talker"]
    );
    let file = data.join("file");
    let add = |bytes: &[u8], name: &str| -> Result<String> {
        std::fs::write(&file, bytes)?;
        let added = grid_relay::add_model(&data, &file, name);
        Ok(added.map_or_else(|error| error.to_string(), |model| model.name))
    };
    let good = model_file(Work::Generate, 4);
    assert!(add(&good, "talker")?.contains("another model has this name"));
    assert!(add(&good, "a/b")?.contains("letters, digits"));
    let mut bad = good.clone();
    *bad.last_mut().context("empty")? ^= 1;
    assert!(add(&bad, "bad")?.contains("block 3"));
    assert!(add(&[&good[..], b"x"].concat(), "bad")?.contains("bytes follow"));
    let mut dirty = good.clone();
    dirty[Header::length(&good)?] = 1;
    assert!(add(&dirty, "bad")?.contains("before the data"));
    for cut in [0, 7, 20, good.len() - 1] {
        assert_ne!(add(&good[..cut], "bad")?, "bad");
    }
    assert!(add(b"GGUF and more than sixteen bytes", "bad")?.contains("not a model file"));
    assert_eq!(add(&good, "four")?, "four");
    assert_eq!(add(&good, "four")?, "four", "again is harmless");

    // A job that runs keeps its model.
    let _idle = join(&test, 1).await?;
    let body = json!({"runtime": "infer", "model": test.talker, "args": ["generate"],
        "tasks": [{"inline": "Cmdyb"}]});
    let (status, code, _) = error_or_grid(test.post("/v1/jobs", body).await?).await?;
    assert_eq!((status, code.as_str()), (400, "bad_request"));
    let mut list = grid_protocol::Files::new(grid_protocol::Side::Input);
    list.insert("stdin", br#"{"prompt":"a","max_tokens":3}"#.to_vec())?;
    let inline = base64_of(&list.encode());
    let job = |args: Value| {
        json!({"runtime": "infer", "model": test.talker, "args": args,
        "tasks": [{"inline": inline}]})
    };
    let (status, code, _) =
        error_or_grid(test.post("/v1/jobs", job(json!(["sing"]))).await?).await?;
    assert_eq!((status, code.as_str()), (422, "bad_spec"));
    let response = test.post("/v1/jobs", job(json!(["generate"]))).await?;
    assert_eq!(response.status(), StatusCode::CREATED);
    let job: Value = response.json().await?;
    let refused = grid_relay::remove_model(&data, "talker").expect_err("a job needs it");
    assert!(refused.to_string().contains("a job that runs"), "{refused}");
    let cancel = format!("/v1/jobs/{}/cancel", job["id"].as_str().context("no id")?);
    assert_eq!(test.post(&cancel, Value::Null).await?.status(), StatusCode::OK);
    grid_relay::remove_model(&data, "talker")?;
    assert!(grid_relay::remove_model(&data, "talker").is_err());
    assert_eq!(test.get("/v1/models/talker").await?.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        test.get(&format!("/v1/models/{}/blocks/0", test.embedder)).await?.status(),
        200,
        "a block that another model has, too"
    );
    Ok(())
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Grid's own errors have a code and a message.
async fn error_or_grid(response: reqwest::Response) -> Result<(u16, String, String)> {
    let status = response.status().as_u16();
    let body: grid_protocol::api::ErrorBody = response.json().await?;
    Ok((status, body.error.code, body.error.message))
}
