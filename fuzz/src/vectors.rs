//! The golden vectors, as seeds.

use grid_protocol::SigningKey;
use serde_json::Value;
use std::sync::LazyLock;

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../tests/vectors/protocol.json"))
        .expect("the golden vectors are JSON")
});

/// What lies at this place of the vectors.
pub(crate) fn at(pointer: &str) -> &'static Value {
    VECTORS.pointer(pointer).expect("the vectors have it")
}

/// Bytes written as hexadecimal digits.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a string")).expect("hexadecimal digits")
}

/// The field `bytes` of each value in a list.
pub(crate) fn list(pointer: &str) -> Vec<Vec<u8>> {
    let list = at(pointer).as_array().expect("a list");
    list.iter().map(|value| bytes(&value["bytes"])).collect()
}

/// The key that the vectors are signed with: of `node`, `relay` or `account`.
pub(crate) fn key(name: &str) -> SigningKey {
    let seed = bytes(at(&format!("/keys/{name}/seed")));
    SigningKey::from_seed(seed.try_into().expect("32 bytes"))
}
