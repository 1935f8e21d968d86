//! What the node keeps in storage.

use super::words;
use crate::messages::{self, Model};
use grid_node::{SavedLease, Settings};
use grid_protocol::{Digest, LeaseId, LeaseToken, PublicKey, SigningKey, Spec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

// From the script that starts the node: where a value is kept differs between an
// extension and a page.
#[wasm_bindgen]
extern "C" {
    /// What is kept under a key, `undefined` if nothing is. `area` is `local`
    /// (stays) or `session` (ends with the browser's session, or earlier).
    #[wasm_bindgen(js_name = loadValue, catch)]
    async fn load_value(area: &str, key: &str) -> Result<JsValue, JsValue>;
    /// Keeps a value, which JSON can say.
    #[wasm_bindgen(js_name = storeValue, catch)]
    async fn store_value(area: &str, key: &str, value: JsValue) -> Result<JsValue, JsValue>;
}

const LOCAL: &str = "local";
const SESSION: &str = "session";
/// Keys in storage. The seed stays on this install: it is never copied.
const SEED: &str = "seed";
const SETTINGS: &str = "settings";
const LEASES: &str = "leases";
const MODELS: &str = "models";

/// What is kept, where it is of this kind. An error: storage doesn't answer.
async fn ask<T: DeserializeOwned>(area: &str, key: &str) -> Result<Option<T>, String> {
    let value = load_value(area, key).await.map_err(|error| words(&error))?;
    Ok(serde_wasm_bindgen::from_value(value).ok())
}

async fn read<T: DeserializeOwned>(area: &str, key: &str) -> Option<T> {
    ask(area, key).await.ok().flatten()
}

async fn write<T: Serialize>(area: &str, key: &str, value: &T) -> Result<(), String> {
    let kept = store_value(area, key, to_js(value)?).await;
    kept.map(|_| ()).map_err(|error| words(&error))
}

/// As plain objects, arrays and numbers.
pub(crate) fn to_js<T: Serialize>(value: &T) -> Result<JsValue, String> {
    let plain = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&plain).map_err(|error| error.to_string())
}

/// The node's key, made at the first start, and what went wrong with keeping it:
/// then it ends with the script that runs the node. A key that may be there but
/// can't be read isn't written over. An error: there is no randomness.
pub(crate) async fn key() -> Result<(SigningKey, Option<String>), String> {
    let stored = ask::<String>(LOCAL, SEED).await;
    // A digest has the same shape: 32 bytes as hexadecimal digits.
    let seed = stored.as_ref().ok().and_then(|text| text.as_ref()?.parse::<Digest>().ok());
    if let Some(seed) = seed {
        return Ok((SigningKey::from_seed(seed.0), None));
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| error.to_string())?;
    let kept = match stored {
        Ok(_) => store(SEED, &Digest(seed)).await,
        Err(error) => Err(error),
    };
    Ok((SigningKey::from_seed(seed), kept.err()))
}

/// The owner's settings.
pub(crate) async fn settings() -> Settings {
    load(SETTINGS).await.unwrap_or_default()
}

/// What storage holds under a key, where it is of this kind.
pub(crate) async fn load<T: DeserializeOwned>(key: &str) -> Option<T> {
    read(LOCAL, key).await
}

/// Stores a value under a key.
pub(crate) async fn store<T: Serialize>(key: &str, value: &T) -> Result<(), String> {
    write(LOCAL, key, value).await
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
    let stored: Vec<String> = read(SESSION, LEASES).await.unwrap_or_default();
    stored.iter().filter_map(|text| unpack(&hex::decode(text).ok()?)).collect()
}

/// Keeps the leases held now.
pub(crate) async fn save_leases(leases: &[SavedLease]) -> Result<(), String> {
    let packed: Vec<String> = leases.iter().map(|lease| hex::encode(pack(lease))).collect();
    write(SESSION, LEASES, &packed).await
}

/// Lease, token, relay, length of the publisher, publisher, spec: the spec's
/// bytes are canonical, and a codec for its fields in JavaScript would be
/// larger than this.
fn pack(lease: &SavedLease) -> Vec<u8> {
    let publisher = messages::encode(&lease.publisher);
    let length = (publisher.len() as u32).to_be_bytes();
    let spec = lease.spec.encode();
    [&lease.lease.0[..], &lease.token.0, &lease.relay.0, &length, &publisher, &spec].concat()
}

fn unpack(bytes: &[u8]) -> Option<SavedLease> {
    let (lease, rest) = bytes.split_first_chunk()?;
    let (token, rest) = rest.split_first_chunk()?;
    let (relay, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (publisher, spec) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some(SavedLease {
        lease: LeaseId(*lease),
        token: LeaseToken(*token),
        relay: PublicKey(*relay),
        publisher: messages::decode(publisher)?,
        spec: Spec::decode(spec).ok()?,
    })
}
