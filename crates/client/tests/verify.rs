//! Each lie about a result is caught by the check that is there for it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{body, node_key, output, relay_key, result, spec};
use grid_client::verify::{Check, Expected, Mark, Report, verify};
use grid_client::{ReceiptFile, ReceiptFileError};
use grid_protocol::api::TaskResult;
use grid_protocol::{
    Digest, ExitReason, Files, JobId, LeaseId, ReceiptBody, Side, SigningKey, Spec,
};

fn failed(report: &Report) -> Vec<Check> {
    let failed = report.steps.iter().filter(|step| step.mark == Mark::Failed);
    failed.map(|step| step.check).collect()
}

fn check(result: &TaskResult, output: &[u8]) -> Vec<Check> {
    let asked = spec();
    let expected = Expected { relay: Some(relay_key().public()), spec: Some(&asked) };
    let report = verify(result, Some(output), expected);
    assert_eq!(report.passed(), report.failure().is_none());
    failed(&report)
}

/// A result that node and relay really signed, with this changed before.
fn signed(change: impl FnOnce(&mut Spec, &mut ReceiptBody)) -> Vec<Check> {
    let (mut spec, mut body) = (spec(), body());
    change(&mut spec, &mut body);
    body.spec = spec.digest();
    check(&result(5, 0, spec, body), &output().encode())
}

/// A good result with this changed after it was signed.
fn tampered(change: impl FnOnce(&mut TaskResult)) -> Vec<Check> {
    let mut result = result(5, 0, spec(), body());
    change(&mut result);
    check(&result, &output().encode())
}

#[test]
fn a_good_result_passes() {
    assert_eq!(tampered(|_| {}), []);
    let report = verify(&result(5, 0, spec(), body()), None, Expected::default());
    let skipped = report.steps.iter().filter(|step| step.mark == Mark::Skipped);
    let skipped: Vec<_> = skipped.map(|step| step.check).collect();
    assert_eq!(skipped, [Check::Output, Check::Relay]);
    assert!(report.passed());
}

#[test]
fn what_was_changed_after_signing() {
    use Check::*;
    // A body that isn't what was signed has another digest, too.
    let receipt = [Signature, Acknowledgement];
    assert_eq!(tampered(|r| r.receipt.body.fuel += 1), receipt);
    assert_eq!(tampered(|r| r.receipt.body.exit_code = 1), receipt);
    assert_eq!(tampered(|r| r.receipt.body.node = relay_key().public()), receipt);
    assert_eq!(tampered(|r| r.receipt.signature.0[0] ^= 1), receipt);
    let other = Digest::of(b"other");
    assert_eq!(tampered(|r| r.receipt.body.output = other), [Signature, Output, Acknowledgement]);
    assert_eq!(tampered(|r| r.receipt.body.input = other), [Signature, Spec, Acknowledgement]);
    assert_eq!(tampered(|r| r.spec.args.push("x".into())), [Spec, Request]);
    assert_eq!(tampered(|r| r.spec.fuel = u64::MAX), [Spec, Request]);
    assert_eq!(tampered(|r| r.ack.seq += 1), [Acknowledgement]);
    assert_eq!(tampered(|r| r.ack.lease = LeaseId([9; 16])), [Acknowledgement]);
    assert_eq!(tampered(|r| r.ack.receipt = other), [Acknowledgement]);
    assert_eq!(tampered(|r| r.ack_signature.0[40] ^= 1), [Acknowledgement]);
}

#[test]
fn what_a_node_and_a_relay_would_sign_together() {
    use Check::*;
    assert_eq!(signed(|_, _| {}), []);
    assert_eq!(signed(|spec, _| spec.module = Digest::of(b"other")), [Request]);
    assert_eq!(signed(|spec, _| spec.seed = [8; 32]), [Request]);
    assert_eq!(signed(|spec, _| spec.memory_pages = 1), [Request]);
    assert_eq!(signed(|spec, _| spec.input = Digest::of(b"other")), [Spec, Request]);
    assert_eq!(signed(|spec, _| spec.output_bytes = 3), [Request, Output]);
    assert_eq!(signed(|spec, body| body.fuel = spec.fuel + 1), [Outcome]);
    assert_eq!(signed(|_, body| body.reason = ExitReason::OutOfFuel), [Outcome]);
    assert_eq!(signed(|_, body| body.check = Digest::of(b"check")), [Outcome]);
    let exit_code_of_a_trap = |_: &mut grid_protocol::Spec, body: &mut ReceiptBody| {
        body.reason = ExitReason::Trap;
        body.exit_code = 1;
    };
    assert_eq!(signed(exit_code_of_a_trap), [Outcome]);
    let out_of_fuel = |spec: &mut grid_protocol::Spec, body: &mut ReceiptBody| {
        body.reason = ExitReason::OutOfFuel;
        body.fuel = spec.fuel;
    };
    assert_eq!(signed(out_of_fuel), []);
}

#[test]
fn another_relay() {
    let other = SigningKey::from_seed([9; 32]);
    // A relay passes on what another one got.
    let foreign = signed(|_, body| body.relay = other.public());
    assert_eq!(foreign, [Check::Relay]);
    // The whole result comes from another relay.
    let mut result = result(5, 0, spec(), ReceiptBody { relay: other.public(), ..body() });
    result.ack_signature = other.sign(&result.ack.encode());
    let failed = check(&result, &output().encode());
    assert_eq!(failed, [Check::Relay, Check::Acknowledgement]);
    // Without a key to compare with, at least both must fit together.
    assert!(verify(&result, None, Expected::default()).passed());
    result.ack_signature = relay_key().sign(&result.ack.encode());
    assert!(!verify(&result, None, Expected::default()).passed());
}

#[test]
fn an_acknowledgement_of_something_else() {
    let signed_again = |change: fn(&mut TaskResult)| {
        tampered(|result| {
            change(result);
            result.ack_signature = relay_key().sign(&result.ack.encode());
        })
    };
    assert_eq!(signed_again(|_| {}), []);
    let other_receipt = signed_again(|result| result.ack.receipt = Digest::of(b"other"));
    assert_eq!(other_receipt, [Check::Acknowledgement]);
    let other_lease = signed_again(|result| result.ack.lease = LeaseId([9; 16]));
    assert_eq!(other_lease, [Check::Acknowledgement]);
}

#[test]
fn another_output() {
    let good = result(5, 0, spec(), body());
    let bytes = output().encode();
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        assert_eq!(check(&good, &bytes), [Check::Output]);
    }
    assert_eq!(check(&good, &bytes[..bytes.len() - 1]), [Check::Output]);
    assert_eq!(check(&good, &[]), [Check::Output]);
    // Signed, but no output list: an input list, and noise.
    for bytes in [Files::stdin(b"x".to_vec()).encode(), b"noise".to_vec()] {
        let result = result(5, 0, spec(), ReceiptBody { output: Digest::of(&bytes), ..body() });
        assert_eq!(check(&result, &bytes), [Check::Output]);
    }
    assert_ne!(output().digest(), Files::new(Side::Output).digest());
}

#[test]
fn a_small_order_key_signs_nothing() {
    let mut result = result(5, 0, spec(), body());
    // The identity point verifies anything where small orders are allowed.
    result.receipt.body.node.0 = [0; 32];
    result.receipt.body.node.0[0] = 1;
    result.receipt.signature.0 = [0; 64];
    result.receipt.signature.0[0] = 1;
    assert!(check(&result, &output().encode()).contains(&Check::Signature));
}

#[test]
fn receipt_files() {
    let mut with_output = result(5, 0, spec(), body());
    with_output.output = Some("AAAA".into());
    let file = ReceiptFile::new(relay_key().public(), JobId([7; 16]), &with_output);
    let bytes = file.encode();
    assert_eq!(ReceiptFile::decode(&bytes).unwrap(), file);
    assert!(!String::from_utf8(bytes.clone()).unwrap().contains("AAAA"));
    assert_eq!(node_key().public(), file.result.receipt.body.node);
    let version =
        String::from_utf8(bytes.clone()).unwrap().replace("\"version\": 1", "\"version\": 2");
    assert!(matches!(
        ReceiptFile::decode(version.as_bytes()),
        Err(ReceiptFileError::Format { version: 2, .. })
    ));
    for bad in [&b""[..], b"{}", b"[]", b"null", &bytes[..bytes.len() / 2], &vec![b' '; 2 << 20]] {
        assert_eq!(ReceiptFile::decode(bad).unwrap_err().code(), "not_a_receipt");
    }
    // Whatever a byte is changed to, decoding ends and verifying doesn't panic.
    for at in 0..bytes.len() {
        for to in [0, b'"', b'9', 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] = to;
            if let Ok(file) = ReceiptFile::decode(&bytes) {
                verify(&file.result, None, Expected::default());
            }
        }
    }
}
