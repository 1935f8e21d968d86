//! Asking the relay that served the page.

use crate::json::Read as _;
use js_sys::{Promise, Reflect, Uint8Array};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::Value;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, ReadableStreamDefaultReader, RequestInit, Response};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(path: &str, options: &RequestInit) -> Promise;
}

/// Who asks: what stands in the header `Authorization` after `Bearer `; empty:
/// anyone.
pub(super) type Bearer = String;

/// The bytes at a path below the page's.
pub(super) async fn bytes(path: &str, bearer: &str) -> Result<Vec<u8>, String> {
    body(&send("GET", path, bearer, None).await?).await
}

/// All of an answer.
pub(super) async fn body(answer: &Response) -> Result<Vec<u8>, String> {
    let body = answer.array_buffer().map_err(unreachable)?;
    let body = JsFuture::from(body).await.map_err(unreachable)?;
    Ok(Uint8Array::new(&body).to_vec())
}

/// Each server-sent event of an answer that is JSON, until `hear` has enough.
pub(super) async fn events(
    answer: &Response,
    mut hear: impl FnMut(&Value) -> Result<bool, String>,
) -> Result<(), String> {
    let Some(stream) = answer.body() else { return Ok(()) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut kept = Vec::new();
    loop {
        let read = JsFuture::from(reader.read()).await.map_err(unreachable)?;
        let piece = Reflect::get(&read, &"value".into()).map_err(unreachable)?;
        if piece.is_undefined() {
            return Ok(());
        }
        kept.extend(Uint8Array::new(&piece).to_vec());
        // Whole lines: a character may be cut in two.
        while let Some(end) = kept.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = kept.drain(..=end).collect();
            let event =
                line.strip_prefix(b"data:").and_then(|data| serde_json::from_slice(data).ok());
            if let Some(event) = event
                && !hear(&event)?
            {
                let _ = reader.cancel();
                return Ok(());
            }
        }
    }
}

/// The JSON at a path.
pub(super) async fn json(path: &str, bearer: &str) -> Result<Value, String> {
    read(path, &bytes(path, bearer).await?)
}

/// Reads JSON that came from a path.
pub(super) fn read(path: &str, bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|why| format!("{path}: an answer not understood: {why}"))
}

/// The answer to a request, if the relay agreed to it; otherwise its words.
pub(super) async fn send(
    method: &str,
    path: &str,
    bearer: &str,
    body: Option<&JsValue>,
) -> Result<Response, String> {
    let options = RequestInit::new();
    options.set_method(method);
    let headers = Headers::new().map_err(unreachable)?;
    if !bearer.trim().is_empty() {
        let refused = |_| "A key is plain text.".to_owned();
        headers.set("authorization", &format!("Bearer {}", bearer.trim())).map_err(refused)?;
    }
    if let Some(body) = body {
        let kind = if body.is_string() { "application/json" } else { "application/octet-stream" };
        headers.set("content-type", kind).map_err(unreachable)?;
        options.set_body(body);
    }
    options.set_headers(&headers);
    let answer = JsFuture::from(fetch(path, &options)).await.map_err(unreachable)?;
    let answer: Response = answer.unchecked_into();
    if answer.ok() {
        return Ok(answer);
    }
    let said = JsFuture::from(answer.text().map_err(unreachable)?).await.map_err(unreachable)?;
    let said = serde_json::from_str::<Value>(&said.as_string().unwrap_or_default());
    let said = said.unwrap_or_default()["error"].text("message").to_owned();
    let bare = || format!("{path}: the relay answered {}.", answer.status());
    Err(if said.is_empty() { bare() } else { said })
}

/// The answer to bytes that are sent.
pub(super) async fn upload(
    method: &str,
    path: &str,
    bearer: &str,
    bytes: &[u8],
) -> Result<Response, String> {
    send(method, path, bearer, Some(&Uint8Array::from(bytes).into())).await
}

fn unreachable(_: JsValue) -> String {
    "The relay can't be reached.".to_owned()
}

/// What a page shows: the last answer, null before there is one, and what went
/// wrong last.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    pub(super) value: RwSignal<Value>,
    pub(super) failed: RwSignal<Option<String>>,
    asked: StoredValue<u32>,
}

impl Shown {
    pub(super) fn new() -> Self {
        let (value, failed) = (RwSignal::new(Value::Null), RwSignal::new(None));
        Self { value, failed, asked: StoredValue::new(0) }
    }

    /// Shows what `asking` gives, unless something was asked since or the page
    /// was left.
    pub(super) fn show(self, asking: impl Future<Output = Result<Value, String>> + 'static) {
        let Some(mine) = self.asked.try_update_value(|asked| {
            *asked += 1;
            *asked
        }) else {
            return;
        };
        spawn_local(async move {
            let found = asking.await;
            if self.asked.try_get_value() != Some(mine) {
                return;
            }
            self.failed.set(found.as_ref().err().cloned());
            if let Ok(found) = found {
                self.value.set(found);
            }
        });
    }

    /// Shows the JSON at a path.
    pub(super) fn load(self, path: String, bearer: Bearer) {
        self.show(async move { json(&path, &bearer).await });
    }

    /// Forgets what was shown, and what is on its way.
    pub(super) fn clear(self) {
        self.asked.update_value(|asked| *asked += 1);
        self.value.set(Value::Null);
        self.failed.set(None);
    }
}
