//! The files, built by `cargo xtask page` and carried in this program
//! (build.rs), each with the policy that holds for it.

use super::sites::{Site, Sites};
use crate::dashboard::assets::{CROSS_ORIGIN_OPENER, CROSS_ORIGIN_RESOURCE, File, answer};
use crate::error::AppError;
use crate::openapi::Api;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

include!(concat!(env!("OUT_DIR"), "/node.rs"));

/// Of everything that runs a node: its own code, this relay, nothing else.
/// Who may frame it follows.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self'; connect-src 'self'; img-src 'self' data:; worker-src 'self'; \
     frame-src 'self'; manifest-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors ";
/// Of the frame whose workers run task modules: an opaque origin and no
/// network.
const SANDBOX: &str = "sandbox allow-scripts; default-src 'none'; \
     script-src 'self' 'wasm-unsafe-eval'; worker-src blob:";
/// The files that are served elsewhere than below `/node/`.
const LOADER: &str = "/node/embed.js";
const FRAME: &str = "/node/frame.html";
const SETUP: &str = "/node/setup.html";
const SANDBOX_FRAME: &str = "/node/sandbox.html";
const EMBEDDER: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");

/// The routes; none where the relay was built without the files.
pub(crate) fn api() -> Api {
    let file = |path: &str| FILES.iter().find(|file| file.path == path);
    let below = FILES.iter().filter(|file| ![LOADER, FRAME, SETUP].contains(&file.path));
    let mut api = below.fold(Api::new(), |api, file| {
        let own = headers(file.path);
        api.page(file.path, get(move |asked: HeaderMap| async move { answer(file, &asked, own) }))
    });
    if let Some(loader) = file(LOADER) {
        // A module script of another origin: any page may load it.
        let own = [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, value("*")),
            (CROSS_ORIGIN_RESOURCE, value("cross-origin")),
        ];
        let serve = get(move |asked: HeaderMap| async move { answer(loader, &asked, own) });
        api = api.page("/embed.js", serve);
    }
    if let Some(setup) = file(SETUP) {
        let own = document("'none'");
        let serve = get(move |asked: HeaderMap| async move { answer(setup, &asked, own) });
        api = api.page("/embed/", serve);
    }
    if let Some(frame) = file(FRAME) {
        let serve = move |Path(asked), sites: State<Arc<Sites>>, headers: HeaderMap| async move {
            let (key, json) = asked_site(asked);
            let site = sites.find(key).await?;
            let told = json.then(|| Json(&site).into_response());
            Ok::<_, AppError>(told.unwrap_or_else(|| embedded(frame, &site, &headers)))
        };
        api = api.page("/embed/{site}", get(serve));
    }
    api.state(|shared| Arc::new(Sites::new(&shared.config.data_dir, shared.reads.clone())))
}

/// `/embed/KEY` is the frame, `/embed/KEY.json` what it says of the site.
fn asked_site(mut path: String) -> (String, bool) {
    let json = path.ends_with(".json");
    if json {
        path.truncate(path.len() - ".json".len());
    }
    (path, json)
}

/// The frame, for the site's own pages only.
fn embedded(frame: &'static File, site: &Site, asked: &HeaderMap) -> Response {
    let nobody = || value("frame-ancestors 'none'");
    let policy = match site.origins.as_slice() {
        [] => nobody(),
        // Origins have letters that a header may have.
        some => HeaderValue::try_from(format!("{POLICY}{}", some.join(" ")))
            .unwrap_or_else(|_| nobody()),
    };
    let own = [(header::CONTENT_SECURITY_POLICY, policy)].into_iter().chain(held());
    answer(frame, asked, own)
}

fn value(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}

/// What lets a page that is isolated from other origins hold the frame.
fn held() -> [(HeaderName, HeaderValue); 2] {
    [(EMBEDDER, value("require-corp")), (CROSS_ORIGIN_RESOURCE, value("cross-origin"))]
}

/// A document of its own, which `ancestors` may frame.
fn document(ancestors: &str) -> Vec<(HeaderName, HeaderValue)> {
    let policy = HeaderValue::try_from(format!("{POLICY}{ancestors}"));
    let policy = policy.unwrap_or_else(|_| value("frame-ancestors 'none'"));
    vec![
        (header::CONTENT_SECURITY_POLICY, policy),
        (CROSS_ORIGIN_OPENER, value("same-origin")),
        (CROSS_ORIGIN_RESOURCE, value("same-origin")),
    ]
}

/// Of a file below `/node/`.
fn headers(path: &str) -> Vec<(HeaderName, HeaderValue)> {
    if path == "/node/" {
        return document("'none'");
    }
    // A worker's script brings the policy that the worker runs under; the
    // sandboxed frame asks for its script from no origin at all.
    let policy = if path == SANDBOX_FRAME { value(SANDBOX) } else { worker_policy() };
    let mut own = held().to_vec();
    own.push((header::CONTENT_SECURITY_POLICY, policy));
    own
}

fn worker_policy() -> HeaderValue {
    value(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; \
         worker-src 'self'; frame-ancestors 'none'",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAGE: File = File {
        path: FRAME,
        etag: "\"1\"",
        immutable: false,
        bytes: b"<!doctype html>",
        brotli: None,
        gzip: None,
    };

    fn header(response: &Response, name: &str) -> String {
        response.headers()[name].to_str().unwrap().to_owned()
    }

    #[test]
    fn only_the_sites_pages_may_hold_the_frame() {
        let site = Site {
            key: "key".into(),
            name: "A site".into(),
            origins: vec!["https://a.example".into(), "http://localhost:81".into()],
            account: None,
        };
        let frame = embedded(&PAGE, &site, &HeaderMap::new());
        let policy = header(&frame, "content-security-policy");
        let (before, ancestors) = policy.split_once("frame-ancestors ").unwrap();
        assert_eq!(ancestors, "https://a.example http://localhost:81");
        assert!(before.starts_with("default-src 'none'; script-src 'self'"), "{before}");
        assert_eq!(header(&frame, "content-type"), "text/html; charset=utf-8");
        // A page that is isolated from other origins can hold it.
        assert_eq!(header(&frame, "cross-origin-embedder-policy"), "require-corp");
        assert_eq!(header(&frame, "cross-origin-resource-policy"), "cross-origin");
        let nowhere = Site { origins: vec![], ..site };
        let frame = embedded(&PAGE, &nowhere, &HeaderMap::new());
        assert_eq!(header(&frame, "content-security-policy"), "frame-ancestors 'none'");
    }

    #[test]
    fn addresses_of_sites() {
        assert_eq!(asked_site("abc".into()), ("abc".into(), false));
        assert_eq!(asked_site("abc.json".into()), ("abc".into(), true));
        assert_eq!(asked_site(".json".into()), (String::new(), true));
    }

    #[test]
    fn modules_run_in_a_frame_without_an_origin_and_a_network() {
        let of = |path: &str| {
            let response = answer(&PAGE, &HeaderMap::new(), headers(path));
            header(&response, "content-security-policy")
        };
        assert!(of(SANDBOX_FRAME).starts_with("sandbox allow-scripts; default-src 'none'; "));
        assert!(!of(SANDBOX_FRAME).contains("connect-src"));
        assert!(of("/node/").ends_with("frame-ancestors 'none'"));
        assert!(of("/node/inference-worker.js").contains("connect-src 'self'"));
    }
}
