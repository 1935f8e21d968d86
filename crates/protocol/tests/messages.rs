//! Wire messages under hostile bytes: what is encoded decodes to itself, and
//! what isn't a message is refused without a panic and without allocating more
//! than the input warrants.

use grid_protocol::{
    BrowserId, Delegation, Digest, FromNode, HeldLease, Inference, Join, LeaseId, LeaseOffer,
    LeaseToken, MessageError, Package, Partial, PublicKey, Publisher, RunResult, Signature, ToNode,
    decode, encode, limits,
};
use peak_alloc::PeakAlloc;
use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Debug;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn lease() -> impl Strategy<Value = LeaseId> {
    any::<[u8; 16]>().prop_map(LeaseId)
}

fn key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey)
}

fn signature() -> impl Strategy<Value = Signature> {
    any::<[[u8; 32]; 2]>().prop_map(|halves| {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&halves[0]);
        bytes[32..].copy_from_slice(&halves[1]);
        Signature(bytes)
    })
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,40}"
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

fn inference() -> impl Strategy<Value = Inference> {
    (vec(any::<u16>(), 0..4), vec(digest(), 0..17))
        .prop_map(|(arithmetics, models)| Inference { arithmetics, models })
}

fn from_node() -> impl Strategy<Value = FromNode> {
    let delegation = proptest::option::of((key(), signature()));
    let package = prop_oneof![Just(Package::Full), Just(Package::BuiltinOnly)];
    let join =
        (key(), signature(), delegation, package, vec(any::<u16>(), 0..4), vec(lease(), 0..70));
    let came = (proptest::option::of(text()), proptest::option::of(any::<[u8; 16]>()));
    let join =
        (join, proptest::option::of(inference()), came).prop_map(|(join, inference, came)| {
            let (node, signature, delegation, package, admissions, holding) = join;
            let delegation =
                delegation.map(|(account, signature)| Delegation { account, signature });
            FromNode::Join(Join {
                node,
                signature,
                delegation,
                package,
                admissions,
                holding,
                inference,
                invitation: came.0,
                browser: came.1.map(BrowserId),
            })
        });
    let result =
        (bytes(), signature(), proptest::option::of(bytes()), proptest::option::of(text()));
    let held = (lease(), any::<u64>()).prop_map(|(lease, fuel)| HeldLease { lease, fuel });
    prop_oneof![
        (vec(any::<u16>(), 0..5), text())
            .prop_map(|(versions, agent)| FromNode::Hello { versions, agent }),
        join,
        any::<u8>().prop_map(|slots| FromNode::Ready { slots }),
        vec(held, 0..70).prop_map(|leases| FromNode::Heartbeat { leases }),
        result.prop_map(|(receipt, signature, output, hint)| {
            FromNode::Result(RunResult { receipt, signature, output, hint })
        }),
        (lease(), any::<u16>(), text()).prop_map(|(lease, reason, detail)| FromNode::GiveBack {
            lease,
            reason,
            detail
        }),
        (lease(), any::<u32>(), text())
            .prop_map(|(lease, offset, text)| FromNode::Partial(Partial { lease, offset, text })),
        inference().prop_map(FromNode::Update),
    ]
}

fn to_node() -> impl Strategy<Value = ToNode> {
    let offer = (
        lease(),
        any::<[u8; 16]>(),
        bytes(),
        any::<u32>(),
        any::<u32>(),
        proptest::option::of(bytes()),
        proptest::option::of(bytes()),
        proptest::option::of((text(), text())),
    );
    let offer =
        offer.prop_map(|(lease, token, spec, deadline_ms, module_bytes, input, draft, of)| {
            let token = LeaseToken(token);
            let publisher = of.map(|(owner, job)| Publisher { owner, job });
            ToNode::Lease(LeaseOffer {
                lease,
                token,
                spec,
                deadline_ms,
                module_bytes,
                input,
                draft,
                publisher,
            })
        });
    prop_oneof![
        (any::<u16>(), key(), text(), any::<[u8; 32]>()).prop_map(
            |(version, relay, origin, nonce)| ToNode::Challenge { version, relay, origin, nonce }
        ),
        (any::<u32>(), vec(lease(), 0..70), any::<u64>(), any::<u64>()).prop_map(
            |(heartbeat_ms, standing, fuel, tasks)| ToNode::Welcome {
                heartbeat_ms,
                standing,
                fuel,
                tasks
            }
        ),
        (any::<u16>(), text(), vec(any::<u16>(), 0..5))
            .prop_map(|(code, message, versions)| ToNode::Refused { code, message, versions }),
        offer,
        (digest(), lease(), any::<u64>(), signature(), digest(), any::<u64>(), digest()).prop_map(
            |(receipt, lease, seq, signature, salt, size, root)| ToNode::Ack {
                receipt,
                lease,
                seq,
                signature,
                salt,
                size,
                root
            }
        ),
        (lease(), any::<u16>(), text()).prop_map(|(lease, code, message)| ToNode::Rejected {
            lease,
            code,
            message
        }),
        lease().prop_map(|lease| ToNode::Cancel { lease }),
        Just(ToNode::Ping),
    ]
}

/// Decodes, and fails where that took more memory than 16 times the input and
/// a little. A list of leases is 24 bytes an element for 18 on the wire, and a
/// list of numbers two for one; lists grow by doubling.
fn bounded<T: for<'b> minicbor::Decode<'b, ()>>(bytes: &[u8]) -> Result<T, MessageError> {
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let decoded = decode(bytes);
    let used = HEAP.peak_usage().saturating_sub(before);
    assert!(used <= 16 * bytes.len() + 1_024, "{used} bytes for {} of input", bytes.len());
    decoded
}

fn round_trip<T>(message: &T)
where
    T: Debug + PartialEq + minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    let bytes = encode(message);
    assert_eq!(&bounded::<T>(&bytes).expect("it was encoded"), message);
    for cut in 0..bytes.len() {
        assert!(bounded::<T>(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let longer = [&bytes[..], &[0xf6]].concat();
    assert!(matches!(bounded::<T>(&longer), Err(MessageError::Trailing(1))));
}

/// A changed message may be another message; that one has an encoding then.
fn mutated<T>(message: &T, changes: &[(prop::sample::Index, u8)])
where
    T: Debug + PartialEq + minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    let mut bytes = encode(message);
    for (at, to) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *to;
        if let Ok(other) = bounded::<T>(&bytes) {
            assert_eq!(bounded::<T>(&encode(&other)).expect("it was encoded"), other);
        }
    }
}

/// Heads of CBOR that claim more than there is: arrays, maps, strings and tags
/// of every length that fits eight bytes, within both kinds of message.
fn claims() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for major in 0..8u8 {
        for length in [
            vec![0x18, 0xff],
            vec![0x19, 0xff, 0xff],
            vec![0x1a, 0xff, 0xff, 0xff, 0xff],
            vec![0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            vec![0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            vec![0x1f],
        ] {
            let mut head = length.clone();
            head[0] |= major << 5;
            all.push(head.clone());
            for variant in 0..8u8 {
                for field in 0..6u8 {
                    let mut inside = vec![0x82, variant, 0xa1, field];
                    inside.extend_from_slice(&head);
                    all.push(inside.clone());
                    inside.extend_from_slice(&[0; 64]);
                    all.push(inside);
                }
                let mut outside = vec![0x82, variant];
                outside.extend_from_slice(&head);
                all.push(outside);
            }
        }
    }
    all
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn hostile_bytes() {
    // The bound can fail: what decodes takes some memory.
    let many = encode(&FromNode::Hello { versions: vec![1; 10_000], agent: String::new() });
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let hello = decode::<FromNode>(&many);
    assert!(HEAP.peak_usage() - before >= 20_000 && hello.is_ok());

    for bytes in claims() {
        let _ = bounded::<FromNode>(&bytes);
        let _ = bounded::<ToNode>(&bytes);
    }

    let nested = [vec![0x82, 0x00, 0xa1, 0x18, 0x63], vec![0x81; 100_000]].concat();
    assert!(bounded::<FromNode>(&nested).is_err(), "deep nesting in an unknown field");

    let mut long = encode(&FromNode::Ready { slots: 1 });
    long.resize(limits::MAX_MESSAGE + 1, 0);
    assert!(matches!(bounded::<FromNode>(&long), Err(MessageError::TooLong(_))));

    // Unknown fields of any kind are ignored; an unknown message is refused.
    let ready: FromNode = FromNode::Ready { slots: 3 };
    for extra in [vec![0x01], vec![0x61, b'x'], vec![0x82, 0x01, 0xa1, 0x00, 0x41, 0x09]] {
        let bytes = [&[0x82, 0x02, 0xa2, 0x00, 0x03, 0x18, 0x63], &extra[..]].concat();
        assert_eq!(bounded::<FromNode>(&bytes).expect("unknown fields are ignored"), ready);
    }
    assert!(bounded::<FromNode>(&[0x82, 0x18, 0x63, 0xa0]).is_err());

    let config = ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() };
    proptest!(config, |(
        from in from_node(),
        to in to_node(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        noise in vec(any::<u8>(), 0..300),
    )| {
        round_trip(&from);
        round_trip(&to);
        mutated(&from, &changes);
        mutated(&to, &changes);
        let _ = bounded::<FromNode>(&noise);
        let _ = bounded::<ToNode>(&noise);
        // A node's message is no relay's, or at least doesn't break it.
        let _ = bounded::<ToNode>(&encode(&from));
        let _ = bounded::<FromNode>(&encode(&to));
    });
}
