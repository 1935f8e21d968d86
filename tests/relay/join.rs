//! Joining: only who holds the key, for this relay, now.

use anyhow::Result;
use grid_protocol::{
    Delegation, FromNode, Join, PublicKey, RefuseCode, Signature, ToNode, join_bytes,
};
use grid_testing::{Challenge, ScriptedNode};
use grid_tests::{TestRelay, key, loose_signature};

const REFUSED: &str = "grid_nodes_refused_total{reason=\"bad_signature\"}";

/// Sends what `answer` makes of a challenge, and expects a refusal.
async fn refused(
    relay: &TestRelay,
    answer: impl FnOnce(&ScriptedNode, &Challenge) -> Join,
) -> Result<()> {
    let mut node = ScriptedNode::connect(relay.origin(), key(1)).await?;
    let challenge = node.hello().await?;
    let join = answer(&node, &challenge);
    node.send(&FromNode::Join(join)).await?;
    let (code, words, _) = node.refusal().await?;
    assert_eq!(code, RefuseCode::Signature.number());
    assert!(words.contains("signed"), "{words}");
    Ok(())
}

#[tokio::test]
async fn wrong_answers_are_refused() -> Result<()> {
    let relay = TestRelay::start().await?;
    // Another key's signature.
    refused(&relay, |node, challenge| {
        let mut join = node.join_message(challenge);
        join.node = key(2).public();
        join
    })
    .await?;
    // A flipped bit.
    refused(&relay, |node, challenge| {
        let mut join = node.join_message(challenge);
        join.signature.0[5] ^= 1;
        join
    })
    .await?;
    // Signed for another relay's key, for another origin, for another nonce.
    let changes: [fn(&mut Challenge); 3] = [
        |challenge| challenge.relay = key(9).public(),
        |challenge| challenge.origin = "https://other.example".into(),
        |challenge| challenge.nonce[0] ^= 1,
    ];
    for change in changes {
        refused(&relay, |node, challenge| {
            let mut other = challenge.clone();
            change(&mut other);
            node.join_message(&other)
        })
        .await?;
    }
    relay.wait_metric(REFUSED, 5).await?;
    Ok(())
}

/// An answer that was right elsewhere, or before, is not right here and now.
#[tokio::test]
async fn replayed_answers_are_refused() -> Result<()> {
    let (here, there) = (TestRelay::start().await?, TestRelay::start().await?);
    let mut node = ScriptedNode::connect(there.origin(), key(1)).await?;
    let challenge = node.hello().await?;
    let join = node.join_message(&challenge);
    node.send(&FromNode::Join(join.clone())).await?;
    assert!(matches!(node.next().await?, Some(ToNode::Welcome { .. })), "right there");

    let replay = join.clone();
    refused(&here, |_, _| replay).await?;
    here.wait_metric(REFUSED, 1).await?;
    // The same relay has another nonce by now.
    refused(&there, |_, _| join).await?;
    there.wait_metric(REFUSED, 1).await?;
    Ok(())
}

/// With a key of small order, one signature is right for many messages.
#[tokio::test]
async fn small_order_keys_are_refused() -> Result<()> {
    let relay = TestRelay::start().await?;
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&neutral);
    for first in [1, 0] {
        refused(&relay, |node, challenge| {
            let mut point = [0; 32];
            point[0] = first;
            let (node_key, signature) = (PublicKey(point), Signature(signature));
            if first == 1 {
                // What is refused would pass where verification isn't strict.
                let signed =
                    join_bytes(&challenge.relay, &challenge.origin, &challenge.nonce, &node_key);
                assert!(node_key.verify_strict(&signed, &signature).is_err());
            }
            Join { node: node_key, signature, ..node.join_message(challenge) }
        })
        .await?;
    }
    relay.wait_metric(REFUSED, 2).await?;
    Ok(())
}

/// Libraries differ on these; what the relay takes, all must take.
#[tokio::test]
async fn loose_signatures_are_refused() -> Result<()> {
    let relay = TestRelay::start().await?;
    refused(&relay, |node, challenge| {
        let public = node.key.public();
        let signed = join_bytes(&challenge.relay, &challenge.origin, &challenge.nonce, &public);
        let signature = loose_signature([1; 32], &signed);
        assert!(public.verify(&signed, &signature).is_ok(), "lax verification takes it");
        Join { signature, ..node.join_message(challenge) }
    })
    .await?;
    relay.wait_metric(REFUSED, 1).await?;
    Ok(())
}

#[tokio::test]
async fn delegations_are_checked() -> Result<()> {
    let relay = TestRelay::start().await?;
    // An account's word for another node.
    refused(&relay, |node, challenge| {
        let delegation = Delegation::sign(&key(5), &key(6).public());
        Join { delegation: Some(delegation), ..node.join_message(challenge) }
    })
    .await?;
    relay.wait_metric(REFUSED, 1).await?;

    let mut node = ScriptedNode::connect(relay.origin(), key(1)).await?;
    let challenge = node.hello().await?;
    let delegation = Some(Delegation::sign(&key(5), &key(1).public()));
    let join = Join { delegation, ..node.join_message(&challenge) };
    node.send(&FromNode::Join(join)).await?;
    assert!(matches!(node.next().await?, Some(ToNode::Welcome { .. })));
    Ok(())
}

/// The same key joins again: the first socket is told, the second works.
#[tokio::test]
async fn the_last_to_join_is_the_node() -> Result<()> {
    let relay = TestRelay::start().await?;
    let mut first = ScriptedNode::join(relay.origin(), key(1)).await?;
    let mut second = ScriptedNode::join(relay.origin(), key(1)).await?;
    assert_eq!(first.refusal().await?.0, RefuseCode::Replaced.number());
    relay.wait_metric("grid_nodes_refused_total{reason=\"replaced\"}", 1).await?;
    relay.submit("one", 1).await?;
    second.lease().await?;
    relay.wait_metric("grid_nodes_online", 1).await?;
    Ok(())
}

/// Who says nothing is closed, joined or not.
#[tokio::test]
async fn silent_sockets_are_closed() -> Result<()> {
    let relay = TestRelay::with(|config| {
        config.join_timeout = std::time::Duration::from_millis(200);
        config.silence = std::time::Duration::from_millis(500);
    })
    .await?;
    let mut mute = ScriptedNode::connect(relay.origin(), key(1)).await?;
    assert_eq!(mute.refusal().await?.0, RefuseCode::Timeout.number());
    let mut joined = ScriptedNode::join(relay.origin(), key(2)).await?;
    assert_eq!(joined.refusal().await?.0, RefuseCode::Timeout.number());
    relay.wait_metric("grid_nodes_refused_total{reason=\"timeout\"}", 2).await?;
    relay.wait_metric("grid_sockets", 0).await?;
    Ok(())
}

#[tokio::test]
async fn a_full_relay_says_so() -> Result<()> {
    let relay = TestRelay::with(|config| config.max_sockets = 1).await?;
    let _first = ScriptedNode::join(relay.origin(), key(1)).await?;
    let mut second = ScriptedNode::connect(relay.origin(), key(2)).await?;
    let (code, words, _) = second.refusal().await?;
    assert_eq!(code, RefuseCode::Full.number());
    assert!(words.contains("as many"), "{words}");
    relay.wait_metric("grid_nodes_refused_total{reason=\"relay_full\"}", 1).await?;
    Ok(())
}
