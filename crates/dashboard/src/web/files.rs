//! Files in and out: dropped or chosen, read, and handed to the visitor.

use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, FileList};

/// A place to drop files on, with an input for those who don't drag.
pub(super) fn drop_zone(
    id: &'static str,
    label: &'static str,
    accept: &'static str,
    multiple: bool,
    hint: AnyView,
    take: impl Fn(Vec<File>) + Copy + 'static,
) -> AnyView {
    let over = RwSignal::new(false);
    let listed = move |files: FileList| {
        let files: Vec<File> = (0..files.length()).filter_map(|at| files.get(at)).collect();
        if !files.is_empty() {
            take(files);
        }
    };
    let dropped = move |event: leptos::ev::DragEvent| {
        event.prevent_default();
        over.set(false);
        if let Some(files) = event.data_transfer().and_then(|data| data.files()) {
            listed(files);
        }
    };
    let chosen = move |event: leptos::ev::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        if let Some(files) = input.files() {
            listed(files);
        }
        // The same file may be chosen again, altered meanwhile.
        input.set_value("");
    };
    view! {
        <div
            class="drop"
            class:over=move || over.get()
            on:dragover=move |event| { event.prevent_default(); over.set(true); }
            on:dragleave=move |_| over.set(false)
            on:drop=dropped
        >
            <label for=id>{label}</label>
            <input id=id type="file" accept=accept multiple=multiple on:change=chosen/>
            {hint}
        </div>
    }
    .into_any()
}

/// A file's bytes.
pub(super) async fn read(file: &File) -> Result<Vec<u8>, String> {
    let buffer = JsFuture::from(file.array_buffer()).await;
    let buffer = buffer.map_err(|_| format!("{} can't be read.", file.name()))?;
    Ok(js_sys::Uint8Array::new(&buffer).to_vec())
}

/// Hands bytes to the visitor as a file.
pub(super) fn save(name: &str, bytes: &[u8]) {
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes));
    let Ok(blob) = web_sys::Blob::new_with_u8_array_sequence(&parts) else { return };
    let Ok(url) = web_sys::Url::create_object_url_with_blob(&blob) else { return };
    if let Ok(link) = document().create_element("a") {
        let _ = link.set_attribute("href", &url);
        let _ = link.set_attribute("download", name);
        link.unchecked_into::<web_sys::HtmlElement>().click();
    }
    let _ = web_sys::Url::revoke_object_url(&url);
}
