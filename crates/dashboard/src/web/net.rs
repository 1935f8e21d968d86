//! Asking the relay that served the page. What nobody waits for any more is
//! ended: the relay need not answer it.

use crate::json::Read as _;
use futures_util::future::{AbortHandle, abortable};
use js_sys::{Promise, Reflect, Uint8Array};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::Value;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, ReadableStreamDefaultReader, RequestInit, Response};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(path: &str, options: &RequestInit) -> Promise;
}

/// Who asks: what stands in the header `Authorization` after `Bearer `; empty:
/// anyone.
pub(super) type Bearer = String;

/// Why there is no answer.
pub(super) struct Failed {
    pub(super) words: String,
    /// What the relay answered; 0 where nothing could be read.
    pub(super) status: u16,
}

impl From<String> for Failed {
    fn from(words: String) -> Self {
        Self { words, status: 0 }
    }
}

impl From<Failed> for String {
    fn from(failed: Failed) -> Self {
        failed.words
    }
}

/// Something under way. Dropped, it ends, and so do its requests.
pub(super) struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins something that goes on while what is given back is kept.
pub(super) fn run(what: impl Future<Output = ()> + 'static) -> Running {
    let (what, handle) = abortable(what);
    spawn_local(async move {
        let _ = what.await;
    });
    Running(handle)
}

/// An answer that the relay agreed to. Dropped before it was read, it ends its
/// request.
pub(super) struct Answer {
    response: Response,
    _request: Request,
}

/// A request that ends with this.
struct Request(AbortController);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Answer {
    /// A header of it; empty where there is none.
    pub(super) fn header(&self, name: &str) -> String {
        self.response.headers().get(name).ok().flatten().unwrap_or_default()
    }

    /// All of it.
    pub(super) async fn bytes(&self) -> Result<Vec<u8>, String> {
        let body = self.response.array_buffer().map_err(unreachable)?;
        let body = JsFuture::from(body).await.map_err(unreachable)?;
        Ok(Uint8Array::new(&body).to_vec())
    }

    /// Each line of it, as it comes, until `hear` has enough.
    pub(super) async fn lines(
        &self,
        hear: &mut dyn FnMut(&[u8]) -> Result<bool, String>,
    ) -> Result<(), String> {
        let Some(stream) = self.response.body() else { return Ok(()) };
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
                if !hear(&line)? {
                    return Ok(());
                }
            }
        }
    }
}

/// The bytes at a path below the page's.
pub(super) async fn bytes(path: &str, bearer: &str) -> Result<Vec<u8>, Failed> {
    Ok(send("GET", path, bearer, None).await?.bytes().await?)
}

/// The JSON at a path.
pub(super) async fn json(path: &str, bearer: &str) -> Result<Value, Failed> {
    Ok(read(path, &bytes(path, bearer).await?)?)
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
) -> Result<Answer, Failed> {
    let options = RequestInit::new();
    let request = Request(AbortController::new().map_err(unreachable)?);
    options.set_signal(Some(&request.0.signal()));
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
    let response = JsFuture::from(fetch(path, &options)).await.map_err(unreachable)?;
    let response: Response = response.unchecked_into();
    if response.ok() {
        return Ok(Answer { response, _request: request });
    }
    let status = response.status();
    let said = JsFuture::from(response.text().map_err(unreachable)?).await.map_err(unreachable)?;
    let said = serde_json::from_str::<Value>(&said.as_string().unwrap_or_default());
    let said = said.unwrap_or_default()["error"].text("message").to_owned();
    let bare = || format!("{path}: the relay answered {status}.");
    Err(Failed { words: if said.is_empty() { bare() } else { said }, status })
}

/// The answer to bytes that are sent.
pub(super) async fn upload(
    method: &str,
    path: &str,
    bearer: &str,
    bytes: &[u8],
) -> Result<Answer, Failed> {
    send(method, path, bearer, Some(&Uint8Array::from(bytes).into())).await
}

fn unreachable(_: JsValue) -> String {
    "The relay can't be reached.".to_owned()
}

/// What a page shows: the last answer, null before there is one, and what went
/// wrong last. It is asked for until it came, is asked for anew, or the page is
/// left.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    pub(super) value: RwSignal<Value>,
    pub(super) failed: RwSignal<Option<String>>,
    asking: RwSignal<Option<Running>>,
}

impl Shown {
    pub(super) fn new() -> Self {
        let (value, failed) = (RwSignal::new(Value::Null), RwSignal::new(None));
        Self { value, failed, asking: RwSignal::new(None) }
    }

    /// Shows what `asking` gives. Nothing, where the relay lets this key in no
    /// more: what it showed before is not for who sits here now.
    pub(super) fn show(self, asking: impl Future<Output = Result<Value, Failed>> + 'static) {
        let asking = run(async move {
            let found = asking.await;
            self.asking.set(None);
            self.failed.set(found.as_ref().err().map(|failed| failed.words.clone()));
            match found {
                Ok(found) => self.value.set(found),
                Err(failed) if matches!(failed.status, 401 | 429) => self.value.set(Value::Null),
                Err(_) => {}
            }
        });
        self.asking.try_set(Some(asking));
    }

    /// Shows the JSON at a path.
    pub(super) fn load(self, path: String, bearer: Bearer) {
        self.show(async move { json(&path, &bearer).await });
    }

    /// Is something asked for now? What is asked for again and again waits for
    /// that: on a slow line nothing would ever come otherwise.
    pub(super) fn is_asking(self) -> bool {
        self.asking.with_untracked(Option::is_some)
    }

    /// Forgets what was shown, and what is on its way.
    pub(super) fn clear(self) {
        self.asking.set(None);
        self.value.set(Value::Null);
        self.failed.set(None);
    }
}
