//! Requests to the relay over HTTP. Errors are texts that begin with a code, as
//! pages read them.

use super::words;
use js_sys::{JSON, Object, Promise, Reflect, Uint8Array};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, ReadableStreamDefaultReader, RequestInit, Response};

/// A transfer that takes longer is given up, in milliseconds.
const TIMEOUT_MS: u32 = 120_000;
/// The longest refusal that is read, in bytes, and shown, in characters.
const LONGEST_REFUSAL: u64 = 10_000;
const LONGEST_WORDS: usize = 300;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(url: &str, init: &RequestInit) -> Promise;
    /// Not in web-sys without its unstable part.
    #[wasm_bindgen(js_namespace = AbortSignal, js_name = timeout)]
    fn abort_after(ms: u32) -> AbortSignal;
    #[wasm_bindgen(js_namespace = AbortSignal, js_name = any)]
    fn abort_with(signals: &[AbortSignal]) -> AbortSignal;
}

/// A refusal, as the relay's API has them.
#[derive(Deserialize)]
struct Refusal {
    error: Said,
}

#[derive(Deserialize)]
struct Said {
    code: String,
    message: String,
}

/// Asks; an answer that is no success is an error. `until`: when it is aborted,
/// so is this.
pub(crate) async fn request(
    method: &str,
    url: &str,
    authorization: Option<&str>,
    body: Option<&[u8]>,
    until: Option<AbortSignal>,
) -> Result<Response, String> {
    let headers = Object::new();
    if let Some(authorization) = authorization {
        let _ = Reflect::set(&headers, &"Authorization".into(), &authorization.into());
    }
    let init = RequestInit::new();
    init.set_method(method);
    let late = abort_after(TIMEOUT_MS);
    let signal = match until {
        Some(until) => abort_with(&[late, until]),
        None => late,
    };
    init.set_signal(Some(&signal));
    if let Some(body) = body {
        init.set_body(&Uint8Array::from(body));
    }
    init.set_headers(&headers);
    let answer = JsFuture::from(fetch(url, &init)).await.map_err(|error| unreachable(&error))?;
    let answer: Response = answer.unchecked_into();
    match answer.ok() {
        true => Ok(answer),
        false => Err(refusal(&answer).await),
    }
}

fn unreachable(error: &JsValue) -> String {
    format!("relay_unreachable: {}", words(error))
}

/// What the relay answered, where it isn't what was asked for.
pub(crate) fn odd(what: impl std::fmt::Display) -> String {
    format!("relay_odd: {what}")
}

async fn refusal(answer: &Response) -> String {
    let status = answer.status();
    match json::<Refusal>(answer, LONGEST_REFUSAL).await {
        Ok(Refusal { error: Said { code, message } }) => {
            let message: String = message.chars().take(LONGEST_WORDS).collect();
            match code.as_str() {
                "clock" | "rate_limited" | "not_found" => format!("relay_{code}: {message}"),
                _ => format!("relay_refused: {message}"),
            }
        }
        Err(_) => format!("relay_status: {status}"),
    }
}

/// Reads a body of at most so many bytes, which is JSON of this shape.
pub(crate) async fn json<T: DeserializeOwned>(
    answer: &Response,
    max_bytes: u64,
) -> Result<T, String> {
    let text = text(answer, max_bytes).await?;
    let value = JSON::parse(&text).map_err(|_| odd("no JSON"))?;
    serde_wasm_bindgen::from_value(value).map_err(|_| odd("JSON of another kind"))
}

/// Reads a body of at most so many bytes, which is text.
pub(crate) async fn text(answer: &Response, max_bytes: u64) -> Result<String, String> {
    String::from_utf8(read(answer, max_bytes).await?).map_err(|_| odd("no text"))
}

/// Reads a body in pieces, so that a relay can't make it larger than asked for.
pub(crate) async fn read(response: &Response, max_bytes: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let Some(stream) = response.body() else { return Ok(bytes) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    loop {
        let piece = JsFuture::from(reader.read()).await.map_err(|error| unreachable(&error))?;
        let get = |key: &str| Reflect::get(&piece, &key.into()).unwrap_or_default();
        if get("done").is_truthy() {
            return Ok(bytes);
        }
        let chunk: Uint8Array = get("value").unchecked_into();
        if bytes.len() as u64 + u64::from(chunk.length()) > max_bytes {
            let _ = JsFuture::from(reader.cancel()).await;
            return Err(odd(format_args!("more than {max_bytes} bytes")));
        }
        let at = bytes.len();
        bytes.resize(at + chunk.length() as usize, 0);
        chunk.copy_to(&mut bytes[at..]);
    }
}
