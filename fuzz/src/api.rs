//! JSON: what owners send, what relays answer, and the file that owners keep.

use crate::protocol::json;
use crate::vectors;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use grid_client::verify::{Expected, verify};
use grid_client::{ReceiptFile, new_job as job_of};
use grid_protocol::api::{
    AccountInfo, ErrorBody, JobInfo, ModuleInfo, NetworkInfo, NewJob, NewTask, NodeStanding,
    PointsInfo, ResultStanding, TaskInfo, TaskResult,
};
use grid_protocol::{Ack, Digest, JobId, ReceiptBody, Spec};
use serde::de::DeserializeOwned;
use serde_json::{from_slice, to_vec};
use std::fmt::Debug;

/// A job as it is submitted.
pub fn new_job(bytes: &[u8]) -> bool {
    let Ok(job) = from_slice::<NewJob>(bytes) else { return false };
    json(&job);
    let spec = job.spec(Digest::ZERO, 1, Digest::of(bytes));
    let sound = spec.check().is_ok();
    assert_eq!(Spec::decode(&spec.encode()).ok(), sound.then_some(spec));
    true
}

/// Seeds of [`new_job`].
pub fn job_seeds() -> Vec<Vec<u8>> {
    let spec = spec();
    let bare = job_of(spec.source);
    let task = NewTask { name: "a".into(), input: Some(spec.input), inline: Some("AAAA".into()) };
    let full = NewJob {
        name: "a job".into(),
        seed: Some(Digest(spec.seed)),
        args: spec.args,
        env: spec.env,
        fuel: Some(spec.fuel),
        memory_pages: Some(1),
        output_bytes: Some(1),
        budget: Some(u64::MAX),
        error_ppb: Some(1),
        tasks: vec![task],
        ..bare.clone()
    };
    [bare, full].map(|job| to_vec(&job).expect("every key is text")).into()
}

/// Anything that a relay answers; a result is verified as an owner does.
pub fn answers(bytes: &[u8]) -> bool {
    fn reads<T>(bytes: &[u8]) -> bool
    where
        T: serde::Serialize + DeserializeOwned + PartialEq + Debug,
    {
        from_slice::<T>(bytes).inspect(|value| json(value)).is_ok()
    }
    let result = from_slice::<TaskResult>(bytes);
    if let Ok(result) = &result {
        json(result);
        check(result);
    }
    [
        result.is_ok(),
        reads::<AccountInfo>(bytes),
        reads::<ErrorBody>(bytes),
        reads::<JobInfo>(bytes),
        reads::<ModuleInfo>(bytes),
        reads::<NetworkInfo>(bytes),
        // A float needs not read as it was printed.
        from_slice::<NodeStanding>(bytes).is_ok(),
        reads::<PointsInfo>(bytes),
        reads::<TaskInfo>(bytes),
    ]
    .contains(&true)
}

fn check(result: &TaskResult) {
    let output = result.output.as_ref().and_then(|output| STANDARD.decode(output).ok());
    let relay = Some(vectors::key("relay").public());
    let report = verify(result, output.as_deref(), Expected { relay, spec: None });
    if report.passed() {
        assert!(result.receipt.clone().verify().is_ok());
        assert_eq!(result.spec.digest(), result.receipt.body.spec);
    }
}

/// Seeds of [`answers`].
pub fn answer_seeds() -> Vec<Vec<u8>> {
    let error = r#"{"error":{"code":"no_such_job","message":"there is none"}}"#;
    let account = r#"{"name":"owner","budget":18446744073709551615}"#;
    let result = to_vec(&result()).expect("every key is text");
    vec![result, error.into(), account.into()]
}

/// The file that an owner keeps of a result.
pub fn receipt_file(bytes: &[u8]) -> bool {
    let Ok(file) = ReceiptFile::decode(bytes) else { return false };
    assert_eq!(ReceiptFile::decode(&file.encode()).ok().as_ref(), Some(&file));
    check(&file.result);
    true
}

/// Seeds of [`receipt_file`].
pub fn receipt_file_seeds() -> Vec<Vec<u8>> {
    vec![ReceiptFile::new(vectors::key("relay").public(), JobId([5; 16]), &result()).encode()]
}

fn spec() -> Spec {
    let bytes = vectors::bytes(&vectors::at("/spec")["bytes"]);
    Spec::decode(&bytes).expect("the vector is a spec")
}

/// A result that passes every check.
fn result() -> TaskResult {
    let (node, relay) = (vectors::key("node"), vectors::key("relay"));
    let spec = spec();
    let output = vectors::list("/files").remove(2);
    let body = vectors::list("/receipts").remove(0);
    let body = ReceiptBody::decode(&body).expect("the vector is a receipt");
    let body = ReceiptBody { output: Digest::of(&output), spec: spec.digest(), ..body };
    let receipt = body.sign(&node);
    let ack = Ack {
        receipt: Digest::of(&receipt.body.encode()),
        lease: receipt.body.lease,
        seq: 7,
        salt: Digest::ZERO,
        size: 9,
        root: Digest::ZERO,
    };
    let result = TaskResult {
        seq: 7,
        standing: ResultStanding::Canonical,
        index: 0,
        name: "a".into(),
        spec,
        ack_signature: relay.sign(&ack.encode()),
        ack,
        quorum: vec![receipt.clone()],
        receipt,
        output: Some(STANDARD.encode(&output)),
        hint: Some("unreachable".into()),
    };
    let expected = Expected { relay: Some(relay.public()), spec: None };
    assert!(verify(&result, Some(&output), expected).passed(), "the seed is a sound result");
    result
}
