//! The parts of a model, from the relay. Nothing that comes is believed here.

use super::words;
use grid_protocol::Digest;
use js_sys::{ArrayBuffer, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{RequestCache, RequestInit, Response};

/// A transfer that takes longer is given up, in milliseconds.
const TIMEOUT_MS: u32 = 120_000;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(url: &str, init: &RequestInit) -> Promise;
    /// Not in web-sys without its unstable part.
    #[wasm_bindgen(js_namespace = AbortSignal, js_name = timeout)]
    fn abort_after(ms: u32) -> web_sys::AbortSignal;
}

/// Where a model is.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The relay's origin.
    pub(crate) origin: String,
    /// The model's digest.
    pub(crate) model: Digest,
}

impl Source {
    /// The header: at most so many bytes.
    pub(crate) async fn header(&self, most: usize) -> Result<Vec<u8>, String> {
        body(&get(&self.url("header")).await?, most).await
    }

    /// Starts to fetch a block.
    pub(crate) fn block(&self, number: usize, length: usize) -> Transfer {
        let url = self.url(&format!("blocks/{number}"));
        Transfer(future_to_promise(async move {
            let bytes = body(&get(&url).await?, length).await?;
            Ok(Uint8Array::from(bytes.as_slice()).into())
        }))
    }

    fn url(&self, part: &str) -> String {
        format!("{}/v1/models/{}/{part}", self.origin.trim_end_matches('/'), self.model)
    }
}

/// Bytes on their way.
pub(crate) struct Transfer(Promise);

impl Transfer {
    pub(crate) async fn arrived(self) -> Result<Vec<u8>, String> {
        let bytes = JsFuture::from(self.0).await.map_err(|error| words(&error))?;
        Ok(bytes.unchecked_into::<Uint8Array>().to_vec())
    }
}

async fn get(url: &str) -> Result<Response, String> {
    let init = RequestInit::new();
    init.set_signal(Some(&abort_after(TIMEOUT_MS)));
    // What is kept is kept once, where its owner sees it.
    init.set_cache(RequestCache::NoStore);
    let answer = JsFuture::from(fetch(url, &init)).await.map_err(|error| words(&error))?;
    let answer: Response = answer.unchecked_into();
    match answer.ok() {
        true => Ok(answer),
        false => Err(format!("the relay answered {}", answer.status())),
    }
}

/// A body, unless it says that it is longer. What the network gives beyond
/// that stays in the browser, and out of the worker's memory.
async fn body(answer: &Response, most: usize) -> Result<Vec<u8>, String> {
    let says = answer.headers().get("content-length").ok().flatten();
    let long = |length: usize| length > most;
    if says.and_then(|text| text.parse().ok()).is_some_and(long) {
        return Err(format!("the relay sent more than {most} bytes"));
    }
    let buffer = answer.array_buffer().map_err(|error| words(&error))?;
    let buffer = JsFuture::from(buffer).await.map_err(|error| words(&error))?;
    let buffer: ArrayBuffer = buffer.unchecked_into();
    match long(buffer.byte_length() as usize) {
        true => Err(format!("the relay sent more than {most} bytes")),
        false => Ok(Uint8Array::new(&buffer).to_vec()),
    }
}
