//! Results that node and relay really signed, true or not.

use base64::Engine as _;
use grid_protocol::api::{ResultStanding, TaskResult};
use grid_protocol::{Ack, Digest, ExitReason, Files, LeaseId, ReceiptBody, Side, SigningKey, Spec};

pub(crate) fn relay() -> SigningKey {
    SigningKey::from_seed([2; 32])
}

/// An output list with just this on standard output.
pub(crate) fn stdout(text: &str) -> Files {
    let mut output = Files::new(Side::Output);
    output.insert("stdout", text.as_bytes().to_vec()).unwrap();
    output
}

/// A result of task 0, named `name`, that ended with exit code 0.
pub(crate) fn result(name: &str, spec: &Spec, output: &Files, fuel: u64) -> TaskResult {
    let node = SigningKey::from_seed([1; 32]);
    let body = ReceiptBody {
        relay: relay().public(),
        lease: LeaseId([3; 16]),
        spec: spec.digest(),
        input: spec.input,
        reason: ExitReason::Exit,
        exit_code: 0,
        output: output.digest(),
        check: Digest::ZERO,
        fuel,
        node: node.public(),
    };
    let receipt = body.sign(&node);
    let digest = Digest::of(&receipt.body.encode());
    let ack = Ack {
        receipt: digest,
        lease: receipt.body.lease,
        seq: 9,
        salt: Digest::ZERO,
        size: 9,
        root: Digest::ZERO,
    };
    TaskResult {
        seq: 9,
        index: 0,
        name: name.into(),
        spec: spec.clone(),
        standing: ResultStanding::Canonical,
        quorum: Vec::new(),
        receipt,
        ack_signature: relay().sign(&ack.encode()),
        ack,
        output: Some(base64::engine::general_purpose::STANDARD.encode(output.encode())),
        hint: None,
    }
}
