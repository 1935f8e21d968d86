//! Requests to the relay over HTTP.

use super::words;
use js_sys::{Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, ReadableStreamDefaultReader, RequestInit, Response};

/// A transfer that takes longer is given up, in milliseconds.
const TIMEOUT_MS: u32 = 120_000;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(url: &str, init: &RequestInit) -> Promise;
    /// Not in web-sys without its unstable part.
    #[wasm_bindgen(js_namespace = AbortSignal, js_name = timeout)]
    fn abort_after(ms: u32) -> AbortSignal;
}

/// Asks; an answer that is no success is an error.
pub(crate) async fn request(
    method: &str,
    url: &str,
    authorization: &str,
    body: Option<&[u8]>,
) -> Result<Response, String> {
    let headers = Object::new();
    let _ = Reflect::set(&headers, &"Authorization".into(), &authorization.into());
    let init = RequestInit::new();
    init.set_method(method);
    init.set_signal(Some(&abort_after(TIMEOUT_MS)));
    if let Some(body) = body {
        init.set_body(&Uint8Array::from(body));
    }
    init.set_headers(&headers);
    let answer = JsFuture::from(fetch(url, &init)).await.map_err(|error| words(&error))?;
    let answer: Response = answer.unchecked_into();
    match answer.ok() {
        true => Ok(answer),
        false => Err(format!("the relay answered {}", answer.status())),
    }
}

/// Reads a body in pieces, so that a relay can't make it larger than asked for.
pub(crate) async fn read(response: &Response, max_bytes: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let Some(stream) = response.body() else { return Ok(bytes) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    loop {
        let piece = JsFuture::from(reader.read()).await.map_err(|error| words(&error))?;
        let get = |key: &str| Reflect::get(&piece, &key.into()).unwrap_or_default();
        if get("done").is_truthy() {
            return Ok(bytes);
        }
        let chunk: Uint8Array = get("value").unchecked_into();
        if bytes.len() as u64 + u64::from(chunk.length()) > max_bytes {
            let _ = JsFuture::from(reader.cancel()).await;
            return Err(format!("the blob has more than {max_bytes} bytes"));
        }
        let at = bytes.len();
        bytes.resize(at + chunk.length() as usize, 0);
        chunk.copy_to(&mut bytes[at..]);
    }
}
