//! Asking the relay that served the page.

use grid_log::tile::TilePath;
use grid_protocol::PublicKey;
use grid_protocol::api::ErrorBody;
use js_sys::{Promise, Uint8Array};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, RequestInit, Response};

#[wasm_bindgen]
extern "C" {
    // The same in a page and in a worker.
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(path: &str, options: &RequestInit) -> Promise;
}

/// The bytes at a path below the page's.
pub(super) async fn bytes(path: &str) -> Result<Vec<u8>, String> {
    ask(path, None).await
}

/// The same, as an owner.
pub(super) async fn bytes_of(path: &str, key: &str) -> Result<Vec<u8>, String> {
    ask(path, Some(key)).await
}

/// The JSON at a path.
pub(super) async fn json<T: DeserializeOwned>(path: &str) -> Result<T, String> {
    read(path, &ask(path, None).await?)
}

/// The same, as an owner.
pub(super) async fn json_of<T: DeserializeOwned>(path: &str, key: &str) -> Result<T, String> {
    read(path, &ask(path, Some(key)).await?)
}

/// The relay's key, as the relay says it.
pub(super) async fn relay() -> Result<PublicKey, String> {
    #[derive(Deserialize)]
    struct Network {
        relay: PublicKey,
    }
    Ok(json::<Network>("v1/network").await?.relay)
}

/// A tile of the log.
pub(super) async fn tile(path: TilePath) -> Result<Vec<u8>, String> {
    bytes(&format!("log/{path}")).await
}

/// Reads JSON that came from a path.
pub(super) fn read<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|why| format!("{path}: an answer not understood: {why}"))
}

async fn ask(path: &str, key: Option<&str>) -> Result<Vec<u8>, String> {
    let unreachable = |_| "The relay can't be reached.".to_owned();
    let options = RequestInit::new();
    if let Some(key) = key {
        let headers = Headers::new().map_err(unreachable)?;
        let refused = |_| "An owner's key is plain text.".to_owned();
        headers.set("authorization", &format!("Bearer {}", key.trim())).map_err(refused)?;
        options.set_headers(&headers);
    }
    let answer = JsFuture::from(fetch(path, &options)).await.map_err(unreachable)?;
    let answer: Response = answer.unchecked_into();
    let body = answer.array_buffer().map_err(unreachable)?;
    let body = JsFuture::from(body).await.map_err(unreachable)?;
    let body = Uint8Array::new(&body).to_vec();
    if answer.ok() {
        return Ok(body);
    }
    let said = serde_json::from_slice::<ErrorBody>(&body).map(|body| body.error.message);
    Err(said.unwrap_or_else(|_| format!("{path}: the relay answered {}.", answer.status())))
}
