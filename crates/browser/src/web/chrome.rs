//! The extension APIs that the node uses, and what it keeps in storage.

use super::words;
use crate::messages::{self, Model};
use grid_node::{SavedLease, Settings};
use grid_protocol::{Digest, LeaseId, LeaseToken, PublicKey, SigningKey, Spec};
use js_sys::{Object, Reflect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = ["chrome", "storage", "local"], js_name = get, catch)]
    async fn local_get(key: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_namespace = ["chrome", "storage", "local"], js_name = set, catch)]
    async fn local_set(items: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_namespace = ["chrome", "storage", "session"], js_name = get, catch)]
    async fn session_get(key: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_namespace = ["chrome", "storage", "session"], js_name = set, catch)]
    async fn session_set(items: &JsValue) -> Result<JsValue, JsValue>;
}

/// Keys in storage. The seed stays on this install: it is never copied.
const SEED: &str = "seed";
const SETTINGS: &str = "settings";
const LEASES: &str = "leases";
const MODELS: &str = "models";

fn read<T: DeserializeOwned>(items: Result<JsValue, JsValue>, key: &str) -> Option<T> {
    let value = Reflect::get(&items.ok()?, &key.into()).ok()?;
    serde_wasm_bindgen::from_value(value).ok()
}

fn item<T: Serialize>(key: &str, value: &T) -> Result<JsValue, String> {
    let value = to_js(value)?;
    let items = Object::new();
    Reflect::set(&items, &key.into(), &value).map_err(|error| words(&error))?;
    Ok(items.into())
}

/// As plain objects, arrays and numbers.
pub(crate) fn to_js<T: Serialize>(value: &T) -> Result<JsValue, String> {
    let plain = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&plain).map_err(|error| error.to_string())
}

/// The node's key: made at the first start.
pub(crate) async fn key() -> Result<SigningKey, String> {
    let stored: Option<String> = load(SEED).await;
    // A digest has the same shape: 32 bytes as hexadecimal digits.
    let stored = stored.and_then(|text| text.parse::<Digest>().ok());
    if let Some(seed) = stored {
        return Ok(SigningKey::from_seed(seed.0));
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| error.to_string())?;
    let items = item(SEED, &Digest(seed))?;
    local_set(&items).await.map_err(|error| words(&error))?;
    Ok(SigningKey::from_seed(seed))
}

/// The owner's settings.
pub(crate) async fn settings() -> Settings {
    load(SETTINGS).await.unwrap_or_default()
}

/// What storage holds under a key, where it is of this kind.
pub(crate) async fn load<T: DeserializeOwned>(key: &str) -> Option<T> {
    read(local_get(key).await, key)
}

/// Stores a value under a key.
pub(crate) async fn store<T: Serialize>(key: &str, value: &T) -> Result<(), String> {
    local_set(&item(key, value)?).await.map(|_| ()).map_err(|error| words(&error))
}

/// Keeps the owner's settings.
pub(crate) async fn save_settings(settings: &Settings) -> Result<(), String> {
    store(SETTINGS, settings).await
}

/// The models that were kept when it was last asked.
pub(crate) async fn models() -> Vec<Model> {
    let stored: Option<String> = load(MODELS).await;
    stored.and_then(|text| messages::decode(&hex::decode(text).ok()?)).unwrap_or_default()
}

/// Keeps the list of them.
pub(crate) async fn save_models(models: &Vec<Model>) -> Result<(), String> {
    store(MODELS, &hex::encode(messages::encode(models))).await
}

/// The leases held when the service worker last stopped, in this session of
/// the browser.
pub(crate) async fn leases() -> Vec<SavedLease> {
    let stored: Vec<String> = read(session_get(LEASES).await, LEASES).unwrap_or_default();
    stored.iter().filter_map(|text| unpack(&hex::decode(text).ok()?)).collect()
}

/// Keeps the leases held now.
pub(crate) async fn save_leases(leases: &[SavedLease]) -> Result<(), String> {
    let packed: Vec<String> = leases.iter().map(|lease| hex::encode(pack(lease))).collect();
    session_set(&item(LEASES, &packed)?).await.map(|_| ()).map_err(|error| words(&error))
}

/// Lease, token, relay, spec: the spec's bytes are canonical, and a codec for
/// its fields in JavaScript would be larger than this.
fn pack(lease: &SavedLease) -> Vec<u8> {
    [&lease.lease.0[..], &lease.token.0, &lease.relay.0, &lease.spec.encode()].concat()
}

fn unpack(bytes: &[u8]) -> Option<SavedLease> {
    let (lease, rest) = bytes.split_first_chunk()?;
    let (token, rest) = rest.split_first_chunk()?;
    let (relay, spec) = rest.split_first_chunk()?;
    Some(SavedLease {
        lease: LeaseId(*lease),
        token: LeaseToken(*token),
        relay: PublicKey(*relay),
        spec: Spec::decode(spec).ok()?,
    })
}
