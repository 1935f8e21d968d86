//! Receipts that aren't right: rejected with their own code, counted, nothing
//! credited, and the task is done by somebody else.

use anyhow::Result;
use grid_protocol::{
    Ack, Digest, ExitReason, Files, FromNode, LeaseId, LeaseOffer, ReceiptBody, RejectCode,
    RunResult, Side, SigningKey,
};
use grid_testing::{ScriptedNode, result_message, small_job};
use grid_tests::{TestRelay, eventually, key, loose_signature};

/// A right result, for a test to spoil.
struct Draft {
    body: ReceiptBody,
    output: Option<Vec<u8>>,
    key: SigningKey,
}

/// A node gets a lease, sends what `spoil` makes of the right result, and is
/// rejected with `code`; another node then does the task.
async fn rejected(
    relay: &TestRelay,
    code: RejectCode,
    spoil: impl FnOnce(&mut Draft, &LeaseOffer),
) -> Result<()> {
    let job = relay.submit("spoiled", 1).await?;
    let metric = format!("grid_receipts_rejected_total{{reason=\"{}\"}}", code.name());
    let before = relay.metric(&metric).await?;
    let accepted = relay.metric("grid_receipts_accepted_total").await?;

    let mut bad = ScriptedNode::join(relay.origin(), key(1)).await?;
    let offer = bad.lease().await?;
    let (body, output) = bad.receipt(&offer, b"answer")?;
    let mut draft = Draft { body, output: Some(output), key: bad.key.clone() };
    spoil(&mut draft, &offer);
    bad.send(&result_message(&draft.body, &draft.key, draft.output)).await?;
    let (lease, got, words) = bad.rejection().await?;
    assert_eq!(RejectCode::from_number(got), Some(code), "{words}");
    assert_eq!(lease, draft.body.lease);
    assert!(!words.is_empty());
    relay.wait_metric(&metric, before + 1).await?;
    assert_eq!(relay.metric("grid_receipts_accepted_total").await?, accepted);
    let info = relay.owner().job(job.id).await?;
    assert_eq!((info.done, info.spent), (0, 0));
    drop(bad);

    let mut good = ScriptedNode::join(relay.origin(), key(2)).await?;
    let offer = good.lease().await?;
    let (body, output) = good.receipt(&offer, b"answer")?;
    good.send_result(&body, &output).await?;
    good.ack().await?;
    let info = relay.done(job.id, 1).await?;
    assert_eq!((info.done, info.spent), (1, body.fuel));
    Ok(())
}

/// Leases of a node that is gone come back at once.
async fn start() -> Result<TestRelay> {
    TestRelay::with(|config| config.grace = std::time::Duration::from_millis(50)).await
}

#[tokio::test]
async fn wrong_digests_are_rejected() -> Result<()> {
    let relay = start().await?;
    rejected(&relay, RejectCode::Output, |draft, _| draft.body.output = Digest::of(b"other"))
        .await?;
    rejected(&relay, RejectCode::Output, |draft, _| draft.output = None).await?;
    rejected(&relay, RejectCode::Output, |draft, _| {
        // Bytes with their digest, but no list of files.
        draft.output = Some(b"no list".to_vec());
        draft.body.output = Digest::of(b"no list");
    })
    .await?;
    rejected(&relay, RejectCode::Output, |draft, _| {
        // A list, but of inputs.
        let list = Files::stdin(b"x".to_vec()).encode();
        draft.body.output = Digest::of(&list);
        draft.output = Some(list);
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn wrong_names_are_rejected() -> Result<()> {
    let relay = start().await?;
    rejected(&relay, RejectCode::Spec, |draft, _| draft.body.spec = Digest::of(b"other")).await?;
    rejected(&relay, RejectCode::Input, |draft, _| draft.body.input = Digest::of(b"other")).await?;
    rejected(&relay, RejectCode::Relay, |draft, _| draft.body.relay = key(9).public()).await?;
    rejected(&relay, RejectCode::Lease, |draft, _| draft.body.lease = LeaseId([9; 16])).await?;
    rejected(&relay, RejectCode::Node, |draft, _| {
        // Signed right, by another key than the one that joined.
        draft.body.node = key(7).public();
        draft.key = key(7);
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn wrong_signatures_are_rejected() -> Result<()> {
    let relay = start().await?;
    rejected(&relay, RejectCode::Signature, |draft, _| draft.key = key(7)).await?;

    // S + L is the same number to a library that doesn't look: RFC 8032 has
    // verifiers refuse it.
    let job = relay.submit("malleable", 2).await?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    let offer = node.lease().await?;
    let (body, output) = node.receipt(&offer, b"answer")?;
    let receipt = body.encode();
    let mut signature = node.key.sign(&receipt);
    add_order(&mut signature.0[32..]);
    let result = RunResult { receipt, signature, output: Some(output), hint: None };
    node.send(&FromNode::Result(result)).await?;
    assert_eq!(node.rejection().await?.1, RejectCode::Signature.number());
    // R off by a point of small order: some libraries take that.
    let offer = node.lease().await?;
    let (body, output) = node.receipt(&offer, b"answer")?;
    let receipt = body.encode();
    let signature = loose_signature([1; 32], &receipt);
    assert!(node.key.public().verify(&receipt, &signature).is_ok(), "lax verification takes it");
    let result = RunResult { receipt, signature, output: Some(output), hint: None };
    node.send(&FromNode::Result(result)).await?;
    assert_eq!(node.rejection().await?.1, RejectCode::Signature.number());
    relay.wait_metric("grid_receipts_rejected_total{reason=\"bad_signature\"}", 3).await?;
    assert_eq!(relay.owner().job(job.id).await?.done, 0);
    Ok(())
}

/// Adds the group's order L (RFC 8032, 5.1) to a little-endian number.
fn add_order(number: &mut [u8]) {
    let mut order = [0u8; 32];
    order[31] = 0x10;
    let low: u128 = 27_742_317_777_372_353_535_851_937_790_883_648_493;
    order[..16].copy_from_slice(&low.to_le_bytes());
    let mut carry = 0;
    for (byte, add) in number.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

#[tokio::test]
async fn broken_limits_are_rejected() -> Result<()> {
    let relay = start().await?;
    let limit = 1_000_000; // of `small_job`
    rejected(&relay, RejectCode::Limit, |draft, _| draft.body.fuel = limit + 1).await?;
    rejected(&relay, RejectCode::Limit, |draft, _| draft.body.fuel = u64::MAX).await?;
    rejected(&relay, RejectCode::Limit, |draft, _| {
        // Out of fuel with fuel left.
        draft.body.reason = ExitReason::OutOfFuel;
        draft.body.fuel = limit - 1;
    })
    .await?;
    rejected(&relay, RejectCode::Limit, |draft, _| {
        draft.body.reason = ExitReason::Trap;
        draft.body.exit_code = 1;
    })
    .await?;
    rejected(&relay, RejectCode::Limit, |draft, _| draft.body.check = Digest::of(b"x")).await?;
    rejected(&relay, RejectCode::Limit, |draft, _| {
        let mut files = Files::new(Side::Output);
        files.insert("stdout", vec![0; 5_000]).expect("an output path"); // of 4,096 allowed
        draft.body.output = Digest::of(&files.encode());
        draft.output = Some(files.encode());
    })
    .await?;
    Ok(())
}

/// Traps and the like are answers: paid by their fuel.
#[tokio::test]
async fn every_exit_reason_is_a_result() -> Result<()> {
    let relay = start().await?;
    let job = relay.submit("reasons", 5).await?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    let reasons = [
        ExitReason::Exit,
        ExitReason::Trap,
        ExitReason::OutOfFuel,
        ExitReason::Stack,
        ExitReason::OutputLimit,
    ];
    let mut spent = 0;
    for reason in reasons {
        let offer = node.lease().await?;
        let (mut body, output) = node.receipt(&offer, reason.name().as_bytes())?;
        body.reason = reason;
        body.fuel = if reason == ExitReason::OutOfFuel { 1_000_000 } else { 10 };
        body.exit_code = if reason == ExitReason::Exit { 9 } else { 0 };
        node.send_result(&body, &output).await?;
        node.ack().await?;
        spent += body.fuel;
    }
    let info = relay.done(job.id, 5).await?;
    assert_eq!((info.done, info.failed, info.spent), (5, 5, spent));
    Ok(())
}

/// The same receipt is the same entry, of a log that may have grown.
fn same(ack: &Ack, before: &Ack) -> bool {
    ack.size >= before.size && *ack == Ack { size: ack.size, root: ack.root, ..before.clone() }
}

/// Sent twice, at once and after another join: the same acknowledgement, one
/// entry, credited once.
#[tokio::test]
async fn a_repeated_receipt_counts_once() -> Result<()> {
    let relay = start().await?;
    let job = relay.submit("twice", 2).await?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    let offer = node.lease().await?;
    let (body, output) = node.receipt(&offer, b"answer")?;
    node.send_result(&body, &output).await?;
    let ack = node.ack().await?;
    node.send_result(&body, &output).await?;
    assert!(same(&node.ack().await?, &ack));
    drop(node);

    let (mut node, standing) =
        ScriptedNode::rejoin(relay.origin(), key(1), vec![offer.lease]).await?;
    assert_eq!(standing, []);
    node.send_result(&body, &output).await?;
    assert!(same(&node.ack().await?, &ack));
    relay.wait_metric("grid_receipts_repeated_total", 2).await?;
    assert_eq!(relay.metric("grid_receipts_accepted_total").await?, 1);
    let info = relay.done(job.id, 1).await?;
    assert_eq!((info.done, info.spent), (1, body.fuel));

    // Another answer for the same lease is no repetition.
    let (other, output) = node.receipt(&offer, b"another answer")?;
    node.send_result(&other, &output).await?;
    assert_eq!(node.rejection().await?.1, RejectCode::Lease.number());
    // Nor is somebody else's claim to it.
    let mut thief = ScriptedNode::join(relay.origin(), key(2)).await?;
    let (stolen, output) = thief.receipt(&offer, b"answer")?;
    thief.send_result(&stolen, &output).await?;
    assert_eq!(thief.rejection().await?.1, RejectCode::Lease.number());
    Ok(())
}

/// A receipt that one relay took says nothing to another.
#[tokio::test]
async fn a_receipt_replayed_elsewhere_is_rejected() -> Result<()> {
    let (there, here) = (start().await?, start().await?);
    there.submit("there", 1).await?;
    let mut node = ScriptedNode::join(there.origin(), key(1)).await?;
    let offer = node.lease().await?;
    let (body, output) = node.receipt(&offer, b"answer")?;
    node.send_result(&body, &output).await?;
    node.ack().await?;

    let job = here.submit("here", 1).await?;
    let mut node = ScriptedNode::join(here.origin(), key(1)).await?;
    node.lease().await?;
    node.send_result(&body, &output).await?;
    assert_eq!(node.rejection().await?.1, RejectCode::Relay.number());
    here.wait_metric("grid_receipts_rejected_total{reason=\"wrong_relay\"}", 1).await?;
    assert_eq!(here.owner().job(job.id).await?.done, 0);
    Ok(())
}

#[tokio::test]
async fn another_nodes_lease_is_not_yours() -> Result<()> {
    let relay = start().await?;
    let job = relay.submit("mine", 1).await?;
    let mut holder = ScriptedNode::join(relay.origin(), key(1)).await?;
    let offer = holder.lease().await?;
    let mut thief = ScriptedNode::join(relay.origin(), key(2)).await?;
    let (body, output) = thief.receipt(&offer, b"stolen")?;
    thief.send_result(&body, &output).await?;
    assert_eq!(thief.rejection().await?.1, RejectCode::NotYours.number());
    relay.wait_metric("grid_receipts_rejected_total{reason=\"not_your_lease\"}", 1).await?;
    // Nor can it be given back or kept alive by others.
    thief
        .send(&FromNode::GiveBack { lease: offer.lease, reason: 1, detail: "not mine".into() })
        .await?;
    relay.wait_metric("grid_leases_over_total{reason=\"not_held\"}", 1).await?;
    // The holder is not disturbed.
    let (body, output) = holder.receipt(&offer, b"answer")?;
    holder.send_result(&body, &output).await?;
    holder.ack().await?;
    relay.done(job.id, 1).await?;
    Ok(())
}

/// A node can't take a task's input or module by its digest alone.
#[tokio::test]
async fn blobs_need_a_lease() -> Result<()> {
    let relay = start().await?;
    relay.submit_job(|module| small_job(module, "blobs", 1)).await?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    let offer = node.lease().await?;
    let spec = grid_protocol::Spec::decode(&offer.spec)?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let get = async |header: Option<String>, digest: Digest| -> Result<u16> {
        let url = format!("{}/v1/blobs/{digest}", relay.origin());
        let request = http.get(url);
        let request = match header {
            Some(header) => request.header("Authorization", header),
            None => request,
        };
        Ok(request.send().await?.status().as_u16())
    };
    let (right, _) = node.blob(offer.lease, &offer.token, spec.module);
    assert_eq!(get(Some(right.clone()), spec.module).await?, 200);
    // With that lease, only what is its own; and the answer doesn't tell what
    // is there.
    let other = get(Some(right.clone()), spec.source).await?;
    assert_eq!(other, get(Some(right), Digest::of(b"nothing")).await?);
    assert!((400..500).contains(&other));
    let mut token = offer.token;
    token.0[0] ^= 1;
    let (wrong, _) = node.blob(offer.lease, &token, spec.module);
    for header in [None, Some(wrong), Some("Lease nonsense".into())] {
        let status = get(header, spec.module).await?;
        assert!((400..500).contains(&status), "{status}");
    }
    Ok(())
}

/// A large output travels as a blob first; what wasn't uploaded isn't there.
#[tokio::test]
async fn large_outputs_come_before_the_receipt() -> Result<()> {
    let relay = start().await?;
    let job = relay
        .submit_job(|module| {
            let mut job = small_job(module, "large", 1);
            job.output_bytes = Some(200_000);
            job
        })
        .await?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    let offer = node.lease().await?;
    let (body, output) = node.receipt(&offer, &vec![7; 150_000])?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let put = async |bytes: Vec<u8>| -> Result<u16> {
        let (header, url) = node.blob(offer.lease, &offer.token, body.output);
        let request = http.put(url).header("Authorization", header).body(bytes);
        Ok(request.send().await?.status().as_u16())
    };
    let status = put(b"other bytes".to_vec()).await?;
    assert!((400..500).contains(&status), "bytes of another digest: {status}");
    let status = put(vec![0; 5 << 20]).await.unwrap_or(413);
    assert!((400..500).contains(&status), "more than the spec allows: {status}");
    assert_eq!(put(output.clone()).await?, 204);
    node.send(&result_message(&body, &node.key.clone(), None)).await?;
    node.ack().await?;
    eventually("the job is done", async || Ok(relay.owner().job(job.id).await?.done == 1)).await?;
    Ok(())
}
