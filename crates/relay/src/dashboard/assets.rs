//! The pages' files, built by `cargo xtask dashboard` and carried in this
//! program (build.rs), so that a relay is one file.

use crate::openapi::Api;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// A file, as it is and compressed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File {
    /// Its path on the relay.
    pub(crate) path: &'static str,
    /// Of its content.
    pub(crate) etag: &'static str,
    /// Its name changes with its content.
    pub(crate) immutable: bool,
    pub(crate) bytes: &'static [u8],
    pub(crate) brotli: Option<&'static [u8]>,
    pub(crate) gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Nothing on the pages comes from elsewhere, and nobody may frame them.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self'; connect-src 'self'; img-src 'self'; worker-src 'self'; manifest-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a relay serves that was built without its pages.
const WITHOUT: File = File {
    path: "/",
    etag: "\"without\"",
    immutable: false,
    bytes: b"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Grid relay</title>\
             <h1>Grid relay</h1><p>This relay was built without its pages: \
             <code>cargo xtask build</code> makes them. What they would show is at \
             <a href=\"v1/network\">/v1/network</a>, <a href=\"metrics\">/metrics</a> and \
             <a href=\"log/checkpoint\">/log/checkpoint</a>.</p></html>\n",
    brotli: None,
    gzip: None,
};

/// A route for each file.
pub(super) fn api() -> Api {
    let files = if FILES.is_empty() { std::slice::from_ref(&WITHOUT) } else { FILES };
    let page = |api: Api, file: &'static File| {
        api.page(file.path, get(move |headers: HeaderMap| async move { serve(file, &headers) }))
    };
    files.iter().fold(Api::new(), page)
}

fn serve(file: &'static File, asked: &HeaderMap) -> Response {
    // Nothing of another site shares a process with the pages, or reads them.
    let own = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (CROSS_ORIGIN_OPENER, HeaderValue::from_static("same-origin")),
        (CROSS_ORIGIN_RESOURCE, HeaderValue::from_static("same-origin")),
    ];
    answer(file, asked, own)
}

pub(crate) const CROSS_ORIGIN_OPENER: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");
pub(crate) const CROSS_ORIGIN_RESOURCE: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// The file, in the coding that was asked for, with these headers of its own.
pub(crate) fn answer(
    file: &'static File,
    asked: &HeaderMap,
    own: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
) -> Response {
    let kept = if file.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut headers: HeaderMap = own.into_iter().collect();
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::ETAG, file.etag);
    set(header::CACHE_CONTROL, kept);
    set(header::VARY, "accept-encoding");
    let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| matches(known, file.etag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    set(header::CONTENT_TYPE, content_type(file.path));
    let accepted = asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let accepts = |coding| accepted.is_some_and(|accepted| accepts(accepted, coding));
    let (bytes, coding) = match (file.brotli, file.gzip) {
        (Some(bytes), _) if accepts("br") => (bytes, Some("br")),
        (_, Some(bytes)) if accepts("gzip") => (bytes, Some("gzip")),
        _ => (file.bytes, None),
    };
    if let Some(coding) = coding {
        set(header::CONTENT_ENCODING, coding);
    }
    (headers, bytes).into_response()
}

/// Does `If-None-Match` name this tag? (RFC 9110, section 13.1.2: weakly.)
fn matches(list: &str, etag: &str) -> bool {
    list.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// Does `Accept-Encoding` take this coding? (RFC 9110, section 12.5.3.)
fn accepts(list: &str, coding: &str) -> bool {
    list.split(',').any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(coding) && weight.is_some_and(|weight| weight > 0.0)
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        _ => "text/html; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: File = File {
        path: "/grid-0123.wasm",
        etag: "\"0123\"",
        immutable: true,
        bytes: b"plain",
        brotli: Some(b"br"),
        gzip: Some(b"gz"),
    };

    fn asked(name: HeaderName, value: &'static str) -> Response {
        serve(&SAMPLE, &[(name, HeaderValue::from_static(value))].into_iter().collect())
    }

    fn coding(accepted: &'static str) -> Option<String> {
        let response = asked(header::ACCEPT_ENCODING, accepted);
        let coding = response.headers().get(header::CONTENT_ENCODING)?;
        Some(coding.to_str().unwrap().to_owned())
    }

    #[test]
    fn each_gets_the_coding_that_it_takes() {
        assert_eq!(coding("gzip, deflate, br").as_deref(), Some("br"));
        assert_eq!(coding("gzip;q=0.5").as_deref(), Some("gzip"));
        assert_eq!(coding("br;q=0, GZIP").as_deref(), Some("gzip"));
        assert_eq!(coding("identity"), None);
        assert_eq!(coding("brotli"), None);
        assert_eq!(coding("br;q=x"), None);
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        for tags in ["\"0123\"", "W/\"0123\"", "\"9\", \"0123\"", "*"] {
            let response = asked(header::IF_NONE_MATCH, tags);
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{tags}");
            assert_eq!(response.headers()[header::ETAG], "\"0123\"");
        }
        assert_eq!(asked(header::IF_NONE_MATCH, "\"012\"").status(), StatusCode::OK);
    }

    #[test]
    fn names_with_a_hash_are_kept_for_good() {
        let response = asked(header::ACCEPT, "*/*");
        assert!(response.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/wasm");
        let page = serve(&WITHOUT, &HeaderMap::new());
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-cache");
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(page.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    }
}
