//! The golden vectors of docs/protocol.md: bytes, digests and signatures that
//! must never change. tests/vectors/protocol.json holds them for JavaScript
//! too. `GRID_BLESS=1 cargo test -p grid-protocol --test vectors` writes the
//! file anew; its diff is then a change of the protocol.

#![allow(clippy::unwrap_used, reason = "tests")]

use grid_protocol::{
    AccountRequest, Ack, BrowserId, Delegation, Digest, ExitReason, Files, FromNode, HeldLease,
    Inference, Join, LeaseId, LeaseOffer, LeaseToken, Package, Partial, PublicKey, Publisher,
    ReceiptBody, RunResult, Runtime, Side, Signature, SigningKey, Spec, ToNode, decode,
    default_seed, encode, join_bytes,
};
use serde_json::{Value, json};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/protocol.json");

fn node() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn relay() -> SigningKey {
    SigningKey::from_seed([2; 32])
}

fn account() -> SigningKey {
    SigningKey::from_seed([3; 32])
}

const ORIGIN: &str = "https://relay.example";
const NONCE: [u8; 32] = [9; 32];

fn input() -> Files {
    let mut files = Files::stdin(b"one two three".to_vec());
    files.insert("/in/a.csv", b"x,y\n1,2\n".to_vec()).unwrap();
    files.insert("/in/deep/empty", vec![]).unwrap();
    files
}

fn output() -> Files {
    let mut files = Files::new(Side::Output);
    files.insert("stdout", b"3\n".to_vec()).unwrap();
    files.insert("stderr", "naïve\n".as_bytes().to_vec()).unwrap();
    files.insert("/out/a", vec![0, 255]).unwrap();
    files
}

fn spec() -> Spec {
    let source = Digest::of(b"module as submitted");
    let args = vec!["--top".into(), "10".into(), String::new()];
    let env = vec![("LANG".into(), "C.UTF-8".into()), ("Z".into(), String::new())];
    let input = Digest::of(&input().encode());
    Spec {
        runtime: Runtime::Wasm,
        arithmetic: 0,
        source,
        module: Digest::of(b"module as admitted"),
        admission: 1,
        seed: default_seed(&source, &args, &env, &input),
        args,
        env,
        input,
        fuel: 100_000_000_000,
        memory_pages: 4_096,
        output_bytes: 16_777_216,
    }
}

const DRAFT: &[u8] = br#"{"text":"Hi","tokens":[7,2],"finish":"stop","prompt_tokens":9}"#;

/// A spec of runtime `infer`.
fn inference() -> Spec {
    let model = Digest::of(b"model");
    let args = vec!["generate".to_owned()];
    let input = Digest::of(&input().encode());
    Spec {
        runtime: Runtime::Infer,
        arithmetic: 1,
        source: model,
        module: model,
        admission: 0,
        seed: default_seed(&model, &args, &[], &input),
        args,
        env: vec![],
        ..spec()
    }
}

fn receipt(reason: ExitReason) -> ReceiptBody {
    ReceiptBody {
        relay: relay().public(),
        lease: LeaseId([4; 16]),
        spec: spec().digest(),
        input: spec().input,
        reason,
        exit_code: if reason == ExitReason::Exit { 7 } else { 0 },
        output: Digest::of(&output().encode()),
        check: Digest::ZERO,
        fuel: if reason == ExitReason::OutOfFuel { spec().fuel } else { 123_456_789 },
        node: node().public(),
    }
}

const REASONS: [ExitReason; 5] = [
    ExitReason::Exit,
    ExitReason::Trap,
    ExitReason::OutOfFuel,
    ExitReason::Stack,
    ExitReason::OutputLimit,
];

fn ack() -> Ack {
    let receipt = Digest::of(&receipt(ExitReason::Exit).encode());
    Ack {
        receipt,
        lease: LeaseId([4; 16]),
        seq: 1_000_000,
        salt: Digest([7; 32]),
        size: 1_000_100,
        root: Digest([8; 32]),
    }
}

fn join_signature() -> Signature {
    node().sign(&join_bytes(&relay().public(), ORIGIN, &NONCE, &node().public()))
}

fn from_node() -> Vec<(&'static str, FromNode, Value)> {
    let (node_key, account_key) = (node().public(), account().public());
    let delegation = Delegation::sign(&account(), &node_key);
    let body = receipt(ExitReason::Exit);
    let signed = body.clone().sign(&node());
    let holding = vec![LeaseId([4; 16]), LeaseId([5; 16])];
    let join = Join {
        node: node_key,
        signature: join_signature(),
        delegation: Some(delegation.clone()),
        package: Package::Full,
        admissions: vec![1],
        holding: holding.clone(),
        inference: None,
        invitation: None,
        browser: None,
    };
    let inference =
        Inference { arithmetics: vec![1], models: vec![Digest::of(b"model"), Digest([5; 32])] };
    let models = json!({"arithmetics": [1], "models": inference.models});
    let result = RunResult {
        receipt: body.encode(),
        signature: signed.signature,
        output: Some(output().encode()),
        hint: None,
    };
    vec![
        (
            "hello",
            FromNode::Hello { versions: vec![1, 2], agent: "grid-extension/0.1.0".into() },
            json!({"versions": [1, 2], "agent": "grid-extension/0.1.0"}),
        ),
        (
            "join",
            FromNode::Join(join.clone()),
            json!({"node": node_key, "signature": join.signature, "delegation":
                {"account": account_key, "signature": delegation.signature},
                "package": 0, "admissions": [1], "holding": holding}),
        ),
        (
            "join without account",
            FromNode::Join(Join {
                delegation: None,
                package: Package::BuiltinOnly,
                holding: vec![],
                ..join.clone()
            }),
            json!({"node": node_key, "signature": join_signature(), "delegation": null,
                "package": 1, "admissions": [1], "holding": []}),
        ),
        (
            "join with inference",
            FromNode::Join(Join {
                delegation: None,
                package: Package::BuiltinOnly,
                admissions: vec![],
                holding: vec![],
                inference: Some(inference.clone()),
                ..join.clone()
            }),
            json!({"node": node_key, "signature": join_signature(), "delegation": null,
                "package": 1, "admissions": [], "holding": [], "inference": models}),
        ),
        (
            "join by an invitation",
            FromNode::Join(Join {
                delegation: None,
                holding: vec![],
                invitation: Some("k7mq-2xwd-9frt".into()),
                browser: Some(BrowserId([6; 16])),
                ..join
            }),
            json!({"node": node_key, "signature": join_signature(), "delegation": null,
                "package": 0, "admissions": [1], "holding": [],
                "invitation": "k7mq-2xwd-9frt", "browser": BrowserId([6; 16])}),
        ),
        ("ready", FromNode::Ready { slots: 2 }, json!({"slots": 2})),
        (
            "heartbeat",
            FromNode::Heartbeat {
                leases: vec![HeldLease { lease: LeaseId([4; 16]), fuel: 1 << 40 }],
            },
            json!({"leases": [{"lease": LeaseId([4; 16]), "fuel": 1u64 << 40}]}),
        ),
        (
            "result",
            FromNode::Result(result.clone()),
            json!({"receipt": hex::encode(&result.receipt), "signature": result.signature,
                "output": hex::encode(output().encode()), "hint": null}),
        ),
        (
            "result with uploaded output",
            FromNode::Result(RunResult {
                output: None,
                hint: Some("unreachable".into()),
                ..result.clone()
            }),
            json!({"receipt": hex::encode(&result.receipt), "signature": result.signature,
                "output": null, "hint": "unreachable"}),
        ),
        (
            "give_back",
            FromNode::GiveBack { lease: LeaseId([4; 16]), reason: 2, detail: "memory".into() },
            json!({"lease": LeaseId([4; 16]), "reason": 2, "detail": "memory"}),
        ),
        (
            "partial",
            FromNode::Partial(Partial {
                lease: LeaseId([4; 16]),
                offset: 300,
                text: "naïve".into(),
            }),
            json!({"lease": LeaseId([4; 16]), "offset": 300, "text": "naïve"}),
        ),
        ("update", FromNode::Update(inference), models.clone()),
    ]
}

fn to_node() -> Vec<(&'static str, ToNode, Value)> {
    let Ack { receipt, lease, seq, salt, size, root } = ack();
    let signature = relay().sign(&ack().encode());
    let offer = LeaseOffer {
        lease,
        token: LeaseToken([6; 16]),
        spec: spec().encode(),
        deadline_ms: 60_000,
        module_bytes: 45_000,
        input: Some(input().encode()),
        draft: None,
        publisher: None,
    };
    vec![
        (
            "challenge",
            ToNode::Challenge {
                version: 1,
                relay: relay().public(),
                origin: ORIGIN.into(),
                nonce: NONCE,
            },
            json!({"version": 1, "relay": relay().public(), "origin": ORIGIN,
                "nonce": hex::encode(NONCE)}),
        ),
        (
            "welcome",
            ToNode::Welcome { heartbeat_ms: 10_000, standing: vec![lease], fuel: 5, tasks: 1 },
            json!({"heartbeat_ms": 10_000, "standing": [lease], "fuel": 5, "tasks": 1}),
        ),
        (
            "refused",
            ToNode::Refused {
                code: 1,
                message: "this relay speaks version 1".into(),
                versions: vec![1],
            },
            json!({"code": 1, "message": "this relay speaks version 1", "versions": [1]}),
        ),
        (
            "lease",
            ToNode::Lease(offer.clone()),
            json!({"lease": lease, "token": hex::encode(offer.token.0),
                "spec": hex::encode(&offer.spec), "deadline_ms": 60_000,
                "module_bytes": 45_000, "input": hex::encode(input().encode())}),
        ),
        (
            "lease with large input",
            ToNode::Lease(LeaseOffer { input: None, ..offer.clone() }),
            json!({"lease": lease, "token": hex::encode(offer.token.0),
                "spec": hex::encode(&offer.spec), "deadline_ms": 60_000,
                "module_bytes": 45_000, "input": null}),
        ),
        (
            "lease with publisher",
            ToNode::Lease(LeaseOffer {
                publisher: Some(Publisher { owner: "harbour".into(), job: "tides of 2026".into() }),
                ..offer.clone()
            }),
            json!({"lease": lease, "token": hex::encode(offer.token.0),
                "spec": hex::encode(&offer.spec), "deadline_ms": 60_000,
                "module_bytes": 45_000, "input": hex::encode(input().encode()),
                "publisher": {"owner": "harbour", "job": "tides of 2026"}}),
        ),
        (
            "lease with draft",
            ToNode::Lease(LeaseOffer {
                spec: inference().encode(),
                input: None,
                draft: Some(DRAFT.to_vec()),
                ..offer.clone()
            }),
            json!({"lease": lease, "token": hex::encode(offer.token.0),
                "spec": hex::encode(inference().encode()), "deadline_ms": 60_000,
                "module_bytes": 45_000, "input": null, "draft": hex::encode(DRAFT)}),
        ),
        (
            "ack",
            ToNode::of_ack(&ack(), signature),
            json!({"receipt": receipt, "lease": lease, "seq": seq, "signature": signature,
                "salt": salt, "size": size, "root": root}),
        ),
        (
            "rejected",
            ToNode::Rejected { lease, code: 2, message: "not signed right".into() },
            json!({"lease": lease, "code": 2, "message": "not signed right"}),
        ),
        ("cancel", ToNode::Cancel { lease }, json!({"lease": lease})),
        ("ping", ToNode::Ping, json!({})),
    ]
}

fn key(key: &SigningKey, seed: [u8; 32]) -> Value {
    json!({"seed": hex::encode(seed), "public": key.public()})
}

fn files(side: &str, files: &Files) -> Value {
    let list: Vec<_> = files
        .iter()
        .map(|(path, bytes)| json!({"path": path, "bytes": hex::encode(bytes)}))
        .collect();
    let bytes = files.encode();
    json!({"side": side, "files": list, "bytes": hex::encode(&bytes), "digest": Digest::of(&bytes)})
}

/// Method, target, time and body.
const REQUEST: (&str, &str, u64, &str) =
    ("POST", "/v1/invitations?x=1", 1_700_000_000_000, "{\"kind\":\"friend\"}");

fn account_request(relay: &PublicKey) -> AccountRequest<'_> {
    let (method, target, time_ms, body) = REQUEST;
    AccountRequest { relay, origin: ORIGIN, method, target, time_ms, body: body.as_bytes() }
}

/// Everything, computed.
fn all() -> Value {
    let (spec, node_key) = (spec(), node().public());
    let join = join_bytes(&relay().public(), ORIGIN, &NONCE, &node_key);
    let delegation = Delegation::sign(&account(), &node_key);
    let receipts = REASONS.map(|reason| {
        let body = receipt(reason);
        let bytes = body.encode();
        json!({"body": body, "bytes": hex::encode(&bytes), "digest": Digest::of(&bytes),
            "signature": body.sign(&node()).signature})
    });
    let message = |(name, bytes, value): (&str, Vec<u8>, Value)| json!({"name": name, "value": value, "bytes": hex::encode(bytes)});
    let from: Vec<_> = from_node()
        .into_iter()
        .map(|(name, m, value)| message((name, encode(&m), value)))
        .collect();
    let to: Vec<_> =
        to_node().into_iter().map(|(name, m, value)| message((name, encode(&m), value))).collect();
    json!({
        "about": "Golden vectors of docs/protocol.md. All bytes are hexadecimal.",
        "keys": {
            "node": key(&node(), [1; 32]),
            "relay": key(&relay(), [2; 32]),
            "account": key(&account(), [3; 32]),
        },
        "files": [
            files("input", &Files::new(Side::Input)),
            files("input", &input()),
            files("output", &output()),
        ],
        "default_seed": {
            "source": spec.source, "args": spec.args, "env": spec.env, "input": spec.input,
            "seed": hex::encode(spec.seed),
        },
        "spec": {
            "value": spec, "bytes": hex::encode(spec.encode()), "digest": spec.digest(),
        },
        "inference_spec": {
            "value": inference(), "bytes": hex::encode(inference().encode()),
            "digest": inference().digest(),
        },
        "join": {
            "relay": relay().public(), "origin": ORIGIN, "nonce": hex::encode(NONCE),
            "node": node_key, "bytes": hex::encode(&join), "signature": join_signature(),
        },
        "delegation": {
            "account": delegation.account, "node": node_key,
            "bytes": hex::encode(Delegation::bytes(&delegation.account, &node_key)),
            "signature": delegation.signature,
        },
        "account_request": {
            "relay": relay().public(), "origin": ORIGIN, "method": REQUEST.0,
            "target": REQUEST.1, "time_ms": REQUEST.2, "body": REQUEST.3,
            "bytes": hex::encode(account_request(&relay().public()).bytes()),
            "authorization": account_request(&relay().public()).authorization(&account()),
        },
        "receipts": receipts,
        "ack": {
            "value": ack(), "bytes": hex::encode(ack().encode()),
            "signature": relay().sign(&ack().encode()),
        },
        "from_node": from,
        "to_node": to,
    })
}

#[test]
fn golden() {
    let computed = all();
    if std::env::var_os("GRID_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&computed).unwrap() + "\n";
        std::fs::write(PATH, text).unwrap();
    }
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    for (part, value) in computed.as_object().unwrap() {
        assert_eq!(
            stored.get(part),
            Some(value),
            "{part} differs from tests/vectors/protocol.json"
        );
    }
    assert_eq!(stored, computed, "the file holds more than is computed");
}

fn stored() -> Value {
    serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// The stored bytes decode to what they encode, and every stored signature is
/// one that strict verification accepts.
#[test]
fn stored_bytes_decode() {
    let stored = stored();
    for list in stored["files"].as_array().unwrap() {
        let side = if list["side"] == "input" { Side::Input } else { Side::Output };
        let files = Files::decode(side, &bytes(&list["bytes"])).unwrap();
        assert_eq!(Digest::of(&bytes(&list["bytes"])), parsed(&list["digest"]));
        assert_eq!(files.len(), list["files"].as_array().unwrap().len());
    }
    assert_eq!(Spec::decode(&bytes(&stored["spec"]["bytes"])).unwrap(), spec());
    let stored_inference = bytes(&stored["inference_spec"]["bytes"]);
    assert_eq!(Spec::decode(&stored_inference).unwrap(), inference());
    for (stored, reason) in stored["receipts"].as_array().unwrap().iter().zip(REASONS) {
        let body = ReceiptBody::decode(&bytes(&stored["bytes"])).unwrap();
        assert_eq!(body, receipt(reason));
        let signature: Signature = parsed(&stored["signature"]);
        body.node.verify_strict(&bytes(&stored["bytes"]), &signature).unwrap();
    }
    let signed = [
        (&stored["join"], node().public()),
        (&stored["delegation"], account().public()),
        (&stored["ack"], relay().public()),
    ];
    for (part, key) in signed {
        let (key, signature): (PublicKey, Signature) = (key, parsed(&part["signature"]));
        key.verify_strict(&bytes(&part["bytes"]), &signature).unwrap();
    }
    let authorization = stored["account_request"]["authorization"].as_str().unwrap();
    let (key, time, signature) =
        AccountRequest::parse(authorization.strip_prefix("Account ").unwrap()).unwrap();
    assert_eq!((key, time), (account().public(), REQUEST.2));
    key.verify_strict(&bytes(&stored["account_request"]["bytes"]), &signature).unwrap();
    for (stored, (_, message, _)) in stored["from_node"].as_array().unwrap().iter().zip(from_node())
    {
        assert_eq!(decode::<FromNode>(&bytes(&stored["bytes"])).unwrap(), message);
    }
    for (stored, (_, message, _)) in stored["to_node"].as_array().unwrap().iter().zip(to_node()) {
        assert_eq!(decode::<ToNode>(&bytes(&stored["bytes"])).unwrap(), message);
    }
}
