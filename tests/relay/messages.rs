//! Messages that are malformed, too long, mistyped, out of order or of another
//! version: refused with words that say so, and counted.

use anyhow::Result;
use grid_protocol::{FromNode, LeaseId, RefuseCode, RejectCode, ToNode, encode, limits};
use grid_testing::ScriptedNode;
use grid_tests::{TestRelay, key};

const REFUSED: &str = "grid_nodes_refused_total{reason=\"bad_message\"}";

/// Each of these, sent where a hello is expected, is refused.
fn no_hellos() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nothing", vec![]),
        ("no CBOR", vec![0xff; 40]),
        ("CBOR of no message", vec![0x01]),
        ("an unknown message", vec![0x82, 0x18, 0x63, 0xa0]),
        ("a field of another type", vec![0x82, 0x00, 0xa2, 0x00, 0x61, 0x31, 0x01, 0x60]),
        ("a field is missing", vec![0x82, 0x00, 0xa1, 0x00, 0x81, 0x01]),
        ("an endless claim", vec![0x82, 0x00, 0xa1, 0x00, 0x9b, 0xff, 0xff, 0xff, 0xff]),
        ("bytes that follow", {
            let mut bytes = hello();
            bytes.push(0);
            bytes
        }),
        ("cut short", {
            let mut bytes = hello();
            bytes.pop();
            bytes
        }),
        ("a join before the hello", encode(&FromNode::Ready { slots: 1 })),
        ("too long", vec![0; limits::MAX_MESSAGE + 1]),
    ]
}

fn hello() -> Vec<u8> {
    encode(&FromNode::Hello { versions: vec![1], agent: "test".into() })
}

#[tokio::test]
async fn malformed_messages_are_refused() -> Result<()> {
    let relay = TestRelay::start().await?;
    let mut count = 0;
    for (what, bytes) in no_hellos() {
        let mut node = ScriptedNode::connect(relay.origin(), key(1)).await?;
        node.send_bytes(bytes).await?;
        let (code, words, versions) = node.refusal().await?;
        assert_eq!(code, RefuseCode::Message.number(), "{what}");
        assert!(words.contains("decoded") && words.contains("out of order"), "{what}: {words}");
        assert_eq!(versions, [1], "{what}");
        count += 1;
        relay.wait_metric(REFUSED, count).await?;
    }
    let mut node = ScriptedNode::connect(relay.origin(), key(1)).await?;
    node.send_text("hello").await?;
    assert_eq!(node.refusal().await?.0, RefuseCode::Message.number());
    Ok(())
}

/// Far beyond what is accepted: refused without being read to its end.
#[tokio::test]
async fn oversized_messages_are_refused() -> Result<()> {
    let relay = TestRelay::start().await?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    // The relay may close before all is sent.
    let _ = node.send_bytes(vec![0; 8 << 20]).await;
    let answer = node.next().await?;
    assert!(matches!(answer, None | Some(ToNode::Refused { code: 2, .. })), "{answer:?}");
    relay.wait_metric("grid_nodes_online", 0).await?;
    Ok(())
}

#[tokio::test]
async fn messages_out_of_order_are_refused() -> Result<()> {
    let relay = TestRelay::start().await?;
    let hello = hello();
    let early = [
        encode(&FromNode::Ready { slots: 1 }),
        encode(&FromNode::Heartbeat { leases: vec![] }),
        encode(&FromNode::GiveBack { lease: LeaseId([1; 16]), reason: 1, detail: "".into() }),
        hello.clone(),
    ];
    for bytes in early {
        let mut node = ScriptedNode::connect(relay.origin(), key(1)).await?;
        node.hello().await?;
        node.send_bytes(bytes).await?;
        assert_eq!(node.refusal().await?.0, RefuseCode::Message.number());
    }
    // Joined already.
    let mut node = ScriptedNode::connect(relay.origin(), key(1)).await?;
    let challenge = node.hello().await?;
    let join = FromNode::Join(node.join_message(&challenge));
    node.send(&join).await?;
    assert!(matches!(node.next().await?, Some(ToNode::Welcome { .. })));
    node.send(&join).await?;
    assert_eq!(node.refusal().await?.0, RefuseCode::Message.number());
    relay.wait_metric(REFUSED, 5).await?;

    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    node.send_bytes(hello).await?;
    assert_eq!(node.refusal().await?.0, RefuseCode::Message.number());
    Ok(())
}

#[tokio::test]
async fn unknown_versions_are_told_the_known_ones() -> Result<()> {
    let relay = TestRelay::start().await?;
    for versions in [vec![], vec![0], vec![2, 65_535]] {
        let mut node = ScriptedNode::connect(relay.origin(), key(1)).await?;
        node.send(&FromNode::Hello { versions, agent: "from the future".into() }).await?;
        let (code, words, known) = node.refusal().await?;
        assert_eq!((code, known), (RefuseCode::Version.number(), vec![1]));
        assert!(words.contains("version"), "{words}");
    }
    relay.wait_metric("grid_nodes_refused_total{reason=\"unsupported_version\"}", 3).await?;

    // Among others, a known one is enough.
    let mut node = ScriptedNode::connect(relay.origin(), key(1)).await?;
    node.send(&FromNode::Hello { versions: vec![9, 1], agent: "both".into() }).await?;
    let answer = node.next().await?;
    assert!(matches!(answer, Some(ToNode::Challenge { version: 1, .. })), "{answer:?}");
    Ok(())
}

/// `[2, {0: 1, 99: [..]}]`: `Ready` with a field of a later day.
#[tokio::test]
async fn unknown_fields_are_ignored() -> Result<()> {
    let relay = TestRelay::start().await?;
    relay.submit("one", 1).await?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    node.send_bytes(vec![0x82, 0x02, 0xa2, 0x00, 0x01, 0x18, 0x63, 0x82, 0x01, 0x61, b'x']).await?;
    let answer = node.next().await?;
    assert!(matches!(answer, Some(ToNode::Lease(_))), "{answer:?}");
    Ok(())
}

/// A receipt that can't be read ends no socket at once, but many do.
#[tokio::test]
async fn malformed_receipts_are_rejected() -> Result<()> {
    let relay = TestRelay::start().await?;
    relay.submit("one", 1).await?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    let offer = node.lease().await?;
    let (body, output) = node.receipt(&offer, b"x")?;
    let mut count = 0;
    for receipt in [vec![], vec![1, 2, 3], body.encode()[1..].to_vec(), {
        let mut long = body.encode();
        long.push(0);
        long
    }] {
        let result = grid_protocol::RunResult {
            signature: node.key.sign(&receipt),
            receipt,
            output: Some(output.clone()),
            hint: None,
        };
        node.send(&FromNode::Result(result)).await?;
        let (_, code, words) = node.rejection().await?;
        assert_eq!(code, RejectCode::Malformed.number());
        assert!(words.contains("can't be decoded"), "{words}");
        count += 1;
        relay.wait_metric("grid_receipts_rejected_total{reason=\"malformed\"}", count).await?;
    }
    // The lease still stands.
    node.send_result(&body, &output).await?;
    assert_eq!(node.ack().await?.lease, offer.lease);

    let junk = grid_protocol::RunResult {
        receipt: vec![],
        signature: node.key.sign(b""),
        output: None,
        hint: None,
    };
    for _ in 0..20 {
        if node.send(&FromNode::Result(junk.clone())).await.is_err() {
            break;
        }
    }
    let mut last = None;
    while let Some(message) = node.next().await? {
        last = Some(message);
    }
    assert!(matches!(last, Some(ToNode::Refused { code: 2, .. })), "{last:?}");
    Ok(())
}
