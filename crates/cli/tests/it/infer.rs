//! `grid embed`, `chat`, `generate` and `batch` against a real relay and a node
//! whose answers are made up.

use crate::common::{Home, Ran};
use grid_infer::file::{BLOCK, Family, Format, Header, Number, Parameters, Span, Tensor};
use grid_protocol::{Digest, SigningKey};
use grid_relay::{Config, Relay, RelayHandle};
use grid_testing::{InferNode, InferNodeSetup, TOO_LONG};
use serde_json::{Value, json};
use std::fs;

/// A model file of one tensor that means nothing.
fn model_file(family: Family) -> Vec<u8> {
    let data = vec![7; BLOCK as usize];
    let tensor = Tensor {
        name: "noise".into(),
        format: Format::I32,
        rows: 1,
        cols: (BLOCK / 4 - 16) as u32,
        exponent: 0,
        dot_shift: 0,
        sum_shift: 0,
        span: Span { offset: 64, length: BLOCK - 64 },
    };
    let header = Header {
        name: "made up".into(),
        licence: String::new(),
        family,
        parameters: Parameters([("context".into(), Number::Int(128))].into()),
        tensors: vec![tensor],
        tokenizer: Span { offset: 0, length: 64 },
        length: BLOCK,
        blocks: vec![Digest::of(&data)],
    };
    let mut file = header.encode();
    file.resize(Header::data_begins(file.len()) as usize, 0);
    file.extend(data);
    file
}

struct Network {
    home: Home,
    _node: InferNode,
    _relay: RelayHandle,
    _data: tempfile::TempDir,
}

impl Network {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let relay = Relay::start(Config::for_test(data.path())).await.unwrap();
        let key = relay.add_owner("me", 10_000_000_000_000).await.unwrap();
        for (name, family) in [("embedder", Family::Bert), ("talker", Family::Llama)] {
            let file = data.path().join(name);
            fs::write(&file, model_file(family)).unwrap();
            relay.add_model(&file, name).await.unwrap();
        }
        let key_of_node = SigningKey::from_seed([1; 32]);
        let setup = InferNodeSetup { key: key_of_node, models: vec![], streams: true, lies: false };
        let node = InferNode::start(relay.origin(), setup).await.unwrap();
        let home = Home::new();
        let login = format!("login --relay {}", relay.origin());
        tokio::task::block_in_place(|| home.grid_with(&login, key.as_bytes())).ok();
        Self { home, _node: node, _relay: relay, _data: data }
    }

    fn grid(&self, line: &str) -> Ran {
        tokio::task::block_in_place(|| self.home.grid(line))
    }

    fn grid_with(&self, line: &str, input: &str) -> Ran {
        tokio::task::block_in_place(|| self.home.grid_with(line, input.as_bytes()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_in_and_answers_come_out() {
    let network = Network::start().await;
    let first = (f32::from(Digest::of(b"one").0[0]) - 127.5) / 256.0;
    let lines = network.grid("embed one two").ok().lines();
    assert_eq!((lines.len(), &lines[0][0]), (2, &json!(first)));
    let lines = network.grid_with("embed --file - --json", "one\n\ntwo three\n").ok().lines();
    assert_eq!((&lines[1]["text"], &lines[1]["index"]), (&json!("two three"), &json!(1)));
    assert!(lines[2]["receipt"].as_str().unwrap().contains("/v1/jobs/"));

    assert_eq!(network.grid("chat hello").ok().stdout, "hello\n");
    assert_eq!(network.grid_with("chat", "so\nit goes\n").ok().stdout, "so\nit goes\n");
    let answer = network.grid("chat hello --json --temperature 0.5 --seed 7").ok().json();
    assert_eq!((&answer["text"], &answer["finish_reason"]), (&json!("7 hello"), &json!("stop")));
    assert_eq!(network.grid_with("generate - --max-tokens 2", "a b c").ok().stdout, "a b\n");

    let error = network.grid("chat hello --model none --json").error(4);
    assert_eq!(error["code"], "model_not_found");
    let error = network.grid("chat hello --temperature 7 --json").error(4);
    assert_eq!(error["code"], "invalid_value");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_on_where_it_broke_off() {
    let network = Network::start().await;
    let call = |id: &str, text: &str| {
        let body = json!({"model": "talker", "temperature": 0,
            "messages": [{"role": "user", "content": text}]});
        let url = "/v1/chat/completions";
        json!({"custom_id": id, "method": "POST", "url": url, "body": body}).to_string()
    };
    let lines = [call("a", "one"), call("b", TOO_LONG), call("c", "three")].join("\n");
    network.home.file("in.jsonl", lines + "\n");
    let ran = network.grid("batch in.jsonl --out out.jsonl --json");
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!((&ran.json()["calls"], &ran.json()["failed"]), (&json!(3), &json!(1)));
    let out = network.home.path("out.jsonl");
    let answers = || -> Vec<Value> {
        let text = fs::read_to_string(&out).unwrap();
        let mut answers: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        answers.sort_by_key(|answer| answer["custom_id"].to_string());
        answers
    };
    let all = answers();
    let said =
        |answer: &Value| answer["response"]["body"]["choices"][0]["message"]["content"].clone();
    assert_eq!((said(&all[0]), said(&all[2])), (json!("one"), json!("three")));
    assert_eq!(all[1]["error"]["code"], "refused_by_model");
    assert_eq!(all[1]["response"]["status_code"], 400);

    // One answer is there, one failed, one was being written.
    let whole = format!("{}\n{}\n", all[0], all[1]);
    fs::write(&out, whole + "{\"custom_id\": \"c\", \"resp").unwrap();
    network
        .home
        .file("in.jsonl", [call("a", "one"), call("b", "two"), call("c", "three")].join("\n"));
    let ran = network.grid("batch in.jsonl --out out.jsonl").ok();
    assert!(ran.stdout.starts_with("3 calls answered, 0 failed"), "{ran:?}");
    let again = answers();
    assert_eq!((again.len(), &again[0]), (3, &all[0]), "what was there is kept");
    assert_eq!(said(&again[1]), "two");

    network.home.file("bad.jsonl", "{\"custom_id\": \"a\"}\n");
    let error = network.grid("batch bad.jsonl --out other.jsonl --json").error(1);
    assert!(error["message"].as_str().unwrap().contains("line 1"), "{error}");
}
