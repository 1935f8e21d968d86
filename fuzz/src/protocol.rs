//! The protocol's bytes. What decodes has one encoding, and that is what was
//! decoded.

use crate::{array, audit, vectors};
use grid_protocol::entry::{Entry, Leaf};
use grid_protocol::{
    Delegation, Digest, Files, FromNode, JobId, LeaseId, LeaseToken, PublicKey, ReceiptBody, Side,
    Signature, Spec, ToNode, UnverifiedReceipt, decode, encode, join_bytes,
};
use std::fmt::{Debug, Display};
use std::str::FromStr;

/// Ids in text: each prints as it was read, but for case.
pub fn ids(bytes: &[u8]) -> bool {
    fn reads<T: FromStr + Display>(text: &str) -> bool {
        let id = text.parse::<T>().ok();
        id.inspect(|id| assert_eq!(id.to_string(), text.to_lowercase())).is_some()
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let printable = grid_client::printable(text);
    assert!(printable.chars().all(|c| c == '\n' || !c.is_control()));
    [
        reads::<Digest>(text),
        reads::<PublicKey>(text),
        reads::<Signature>(text),
        reads::<LeaseId>(text),
        reads::<JobId>(text),
        text.parse::<LeaseToken>().is_ok(),
    ]
    .contains(&true)
}

/// Seeds of [`ids`].
pub fn id_seeds() -> Vec<Vec<u8>> {
    ["/spec/digest", "/join/signature", "/ack/value/lease"]
        .map(|place| vectors::at(place).as_str().expect("text").as_bytes().to_vec())
        .into()
}

/// A key, a signature, and what was signed. What strict verification accepts,
/// the nodes' small library accepts.
pub fn signature(bytes: &[u8]) -> bool {
    let (key, rest) = array(bytes);
    let (signature, message) = array(rest);
    let (key, signature) = (PublicKey(key), Signature(signature));
    let strict = key.verify_strict(message, &signature).is_ok();
    assert!(!strict || key.verify(message, &signature).is_ok());
    strict
}

/// Seeds of [`signature`].
pub fn signature_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [("/keys/node", "/join"), ("/keys/account", "/delegation")]
        .map(|(key, signed)| {
            let field = |of: &str, field| vectors::bytes(&vectors::at(of)[field]);
            [field(key, "public"), field(signed, "signature"), field(signed, "bytes")].concat()
        })
        .into();
    let key = vectors::key("node");
    seeds.push([&key.public().0[..], &key.sign(b"").0].concat());
    seeds
}

/// A list of files, read as inputs and as outputs.
pub fn files(bytes: &[u8]) -> bool {
    let read = |side| {
        let Ok(files) = Files::decode(side, bytes) else { return false };
        assert_eq!(files.encode(), bytes);
        assert_eq!(files.digest(), Digest::of(bytes));
        assert!(files.size() <= bytes.len() as u64);
        let mut again = Files::new(side);
        for (path, body) in files.iter() {
            again.insert(path, body.to_vec()).expect("its paths are allowed");
        }
        assert_eq!(again, files);
        true
    };
    let (input, output) = (read(Side::Input), read(Side::Output));
    input || output
}

/// Seeds of [`files`].
pub fn files_seeds() -> Vec<Vec<u8>> {
    vectors::list("/files")
}

/// A spec.
pub fn spec(bytes: &[u8]) -> bool {
    let Ok(spec) = Spec::decode(bytes) else { return false };
    assert_eq!(spec.encode(), bytes);
    assert_eq!(spec.check(), Ok(()));
    json(&spec);
    true
}

/// Seeds of [`spec`].
pub fn spec_seeds() -> Vec<Vec<u8>> {
    let full = vectors::bytes(&vectors::at("/spec")["bytes"]);
    let mut bare = Spec::decode(&full).expect("the vector is a spec");
    (bare.args, bare.env) = (Vec::new(), Vec::new());
    vec![full, bare.encode()]
}

/// The body of a receipt, and a signature after it.
pub fn receipt(bytes: &[u8]) -> bool {
    let (body, rest) = crate::split(bytes, ReceiptBody::LENGTH);
    let Ok(body) = ReceiptBody::decode(body) else { return false };
    assert_eq!(body.encode(), bytes[..ReceiptBody::LENGTH]);
    json(&body);
    let signature = Signature(array(rest).0);
    let came = UnverifiedReceipt { body: body.clone(), signature };
    if came.verify().is_ok() {
        assert_eq!(body.node.verify(&body.encode(), &signature), Ok(()));
    }
    let key = vectors::key("node");
    let signed = body.clone().sign(&key);
    assert_eq!(signed.verify().is_ok(), body.node == key.public(), "only the node's own key signs");
    true
}

/// Seeds of [`receipt`].
pub fn receipt_seeds() -> Vec<Vec<u8>> {
    let receipts = vectors::at("/receipts").as_array().expect("a list");
    let both = |receipt: &serde_json::Value| {
        [vectors::bytes(&receipt["bytes"]), vectors::bytes(&receipt["signature"])].concat()
    };
    receipts.iter().map(both).collect()
}

/// A message from a node.
pub fn from_node(bytes: &[u8]) -> bool {
    let Ok(message) = decode::<FromNode>(bytes) else { return false };
    assert_eq!(decode::<FromNode>(&encode(&message)).as_ref().ok(), Some(&message));
    match &message {
        FromNode::Join(join) => {
            let relay = vectors::key("relay").public();
            let signed = join_bytes(&relay, "http://127.0.0.1:1", &[9; 32], &join.node);
            let _ = join.node.verify_strict(&signed, &join.signature);
            if let Some(Delegation { account, signature }) = &join.delegation {
                let _ = account.verify_strict(&Delegation::bytes(account, &join.node), signature);
            }
        }
        FromNode::Result(result) => {
            if let Ok(unverified) = result.unverified() {
                assert_eq!(unverified.body.encode(), result.receipt);
            }
            if let Some(output) = &result.output {
                let _ = Files::decode(Side::Output, output);
            }
        }
        _ => {}
    }
    true
}

/// Seeds of [`from_node`].
pub fn from_node_seeds() -> Vec<Vec<u8>> {
    vectors::list("/from_node")
}

/// A message to a node.
pub fn to_node(bytes: &[u8]) -> bool {
    let Ok(message) = decode::<ToNode>(bytes) else { return false };
    assert_eq!(decode::<ToNode>(&encode(&message)).as_ref().ok(), Some(&message));
    if let Some((ack, signature)) = message.ack() {
        assert_eq!(ToNode::of_ack(&ack, signature), message);
    }
    true
}

/// Seeds of [`to_node`].
pub fn to_node_seeds() -> Vec<Vec<u8>> {
    vectors::list("/to_node")
}

/// An entry's kind, and its bytes.
pub fn entry(bytes: &[u8]) -> bool {
    let Some((&kind, rest)) = bytes.split_first() else { return false };
    let Ok(entry) = Entry::decode(kind, rest) else { return false };
    assert_eq!((entry.kind() as u8, entry.encode()), (kind, rest.to_vec()));
    true
}

/// Seeds of [`entry`].
pub fn entry_seeds() -> Vec<Vec<u8>> {
    let entries = audit::log().entries.iter();
    entries.map(|entry| [vec![entry.kind() as u8], entry.encode()].concat()).collect()
}

/// A leaf of the log.
pub fn leaf(bytes: &[u8]) -> bool {
    let Ok(leaf) = Leaf::decode(bytes) else { return false };
    assert_eq!(leaf.encode(), bytes);
    true
}

/// What is written as JSON reads as it was.
pub(crate) fn json<T>(value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let text = serde_json::to_string(value).expect("every key is text");
    assert_eq!(serde_json::from_str::<T>(&text).ok().as_ref(), Some(value), "{text}");
}
