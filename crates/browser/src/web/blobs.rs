//! Blobs: fetched and uploaded under a lease, modules kept in the browser's
//! cache by digest.

use super::http::{read, request};
use grid_protocol::{Digest, LeaseId, LeaseToken};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Cache, CacheStorage, Response};

/// Name of the cache, and the address under which it keeps a digest. Nothing
/// is ever asked of that address.
const CACHE: &str = "modules";
const CACHE_ORIGIN: &str = "https://modules.invalid/";
/// Modules kept; the oldest goes first.
const CACHE_MODULES: u32 = 32;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_name = caches)]
    static CACHES: CacheStorage;
}

/// Where a blob is, and what opens it.
pub(crate) struct BlobAddress {
    pub(crate) origin: String,
    pub(crate) lease: LeaseId,
    pub(crate) token: LeaseToken,
    pub(crate) digest: Digest,
    /// Aborted when the lease is over.
    pub(crate) until: AbortSignal,
}

impl BlobAddress {
    async fn request(&self, method: &str, body: Option<&[u8]>) -> Result<Response, String> {
        let authorization = format!("Lease {}:{}", self.lease, self.token);
        let origin = self.origin.trim_end_matches('/');
        let url = format!("{origin}/v1/blobs/{}", self.digest);
        request(method, &url, Some(&authorization), body, Some(self.until.clone())).await
    }

    /// Downloads at most `max_bytes`.
    pub(crate) async fn download(&self, max_bytes: u64) -> Result<Vec<u8>, String> {
        read(&self.request("GET", None).await?, max_bytes).await
    }

    /// Uploads.
    pub(crate) async fn upload(&self, bytes: &[u8]) -> Result<(), String> {
        self.request("PUT", Some(bytes)).await.map(|_| ())
    }

    /// A module: from the cache, else downloaded and kept.
    pub(crate) async fn module(&self, max_bytes: u64) -> Result<Vec<u8>, String> {
        let cache = CACHES.with(|caches| caches.open(CACHE));
        let cache = JsFuture::from(cache).await.ok().map(Cache::from);
        let key = format!("{CACHE_ORIGIN}{}", self.digest);
        if let Some(cache) = &cache
            && let Ok(hit) = JsFuture::from(cache.match_with_str(&key)).await
            && let Ok(hit) = hit.dyn_into::<Response>()
        {
            match read(&hit, max_bytes).await {
                Ok(bytes) if Digest::of(&bytes) == self.digest => return Ok(bytes),
                // A damaged entry would fail every lease that needs it.
                _ => drop(JsFuture::from(cache.delete_with_str(&key)).await),
            }
        }
        let bytes = self.download(max_bytes).await?;
        if let Some(cache) = &cache
            && Digest::of(&bytes) == self.digest
        {
            // Best effort: without space the next lease downloads it again.
            let _ = keep(cache, &key, &bytes).await;
        }
        Ok(bytes)
    }
}

async fn keep(cache: &Cache, key: &str, bytes: &[u8]) -> Result<(), JsValue> {
    let body = Uint8Array::from(bytes);
    let entry = Response::new_with_opt_buffer_source(Some(&body))?;
    JsFuture::from(cache.put_with_str(key, &entry)).await?;
    let keys: js_sys::Array = JsFuture::from(cache.keys()).await?.unchecked_into();
    for oldest in 0..keys.length().saturating_sub(CACHE_MODULES) {
        JsFuture::from(cache.delete_with_request(&keys.get(oldest).unchecked_into())).await?;
    }
    Ok(())
}
