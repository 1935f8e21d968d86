//! Asking the relay that served the page.

use grid_log::tile::TilePath;
use grid_protocol::PublicKey;
use js_sys::Uint8Array;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

/// The bytes at a path below the page's.
pub(super) async fn bytes(path: &str) -> Result<Vec<u8>, String> {
    let unreachable = |_: JsValue| "The relay can't be reached.".to_owned();
    let answer = JsFuture::from(super::scope().fetch_with_str(path)).await.map_err(unreachable)?;
    let answer: Response = answer.unchecked_into();
    if !answer.ok() {
        return Err(format!("{path}: the relay answered {}.", answer.status()));
    }
    let body = JsFuture::from(answer.array_buffer().map_err(unreachable)?).await;
    Ok(Uint8Array::new(&body.map_err(unreachable)?).to_vec())
}

/// The JSON at a path.
pub(super) async fn json<T: DeserializeOwned>(path: &str) -> Result<T, String> {
    serde_json::from_slice(&bytes(path).await?)
        .map_err(|why| format!("{path}: an answer not understood: {why}"))
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
