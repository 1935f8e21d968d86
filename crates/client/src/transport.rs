//! Requests and bounded answers: the only place that knows reqwest.

use crate::error::ClientError;
use bytes::Bytes;
use grid_protocol::api::ErrorBody;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;
use std::{fmt, net::IpAddr, time::Duration};

/// Largest JSON answer that is read.
const MAX_JSON: usize = 64 << 20;
/// Largest error answer that is read; more is cut off.
const MAX_ERROR: usize = 64 << 10;
/// Attempts of a request that can be repeated without harm.
const ATTEMPTS: u32 = 3;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one request and its whole answer: 64 MiB at some 1 Mbit/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest that a relay's `Retry-After` is obeyed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// An owner's key, as the operator's command printed it. Travels in a header
/// only; never printed.
#[derive(Clone)]
pub struct OwnerKey(HeaderValue);

impl OwnerKey {
    /// A key as text; surrounding white space is left out.
    pub fn new(key: &str) -> Result<Self, ClientError> {
        let key = key.trim();
        let plain = |byte: u8| byte.is_ascii_graphic();
        if key.is_empty() || key.len() > 512 || !key.bytes().all(plain) {
            return Err(ClientError::Key);
        }
        let mut value =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| ClientError::Key)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for OwnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerKey(..)")
    }
}

/// Whether a relay address is on this machine, where nobody listens in.
pub fn is_loopback(relay: &str) -> bool {
    Url::parse(relay).is_ok_and(|url| loopback(&url))
}

fn loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What a request carries.
#[derive(Clone)]
pub(crate) enum Body {
    None,
    Json(Bytes),
    Bytes(Bytes),
}

/// Delay before attempt `attempt` (the first repetition is 1): doubles from
/// 200 ms, at most 5 s.
pub(crate) fn backoff(attempt: u32) -> Duration {
    Duration::from_millis((100 << attempt.min(6)).min(5000))
}

#[derive(Debug, Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    base: Url,
    key: Option<OwnerKey>,
}

impl Transport {
    pub(crate) fn new(relay: &str, key: Option<OwnerKey>) -> Result<Self, ClientError> {
        let bad = || ClientError::Address(relay.to_owned());
        let mut base = Url::parse(relay.trim()).map_err(|_| bad())?;
        let plain = base.query().is_none() && base.fragment().is_none();
        let no_login = base.username().is_empty() && base.password().is_none();
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(bad());
        }
        if !plain || !no_login {
            return Err(bad());
        }
        let path = base.path().trim_end_matches('/').to_owned() + "/";
        base.set_path(&path);
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("grid-client/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .tcp_keepalive(Duration::from_secs(20))
            .connect_timeout(CONNECT_TIMEOUT);
        if loopback(&base) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|source| unreachable(&base, source))?;
        Ok(Self { http, base, key })
    }

    /// The relay's address, without a slash at its end.
    pub(crate) fn relay(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The relay's origin, as it calls itself when it is reached by its own
    /// address.
    pub(crate) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// One request, once; any status but success is an error.
    pub(crate) async fn once(
        &self,
        method: &Method,
        path: &str,
        body: Body,
        timeout: Option<Duration>,
    ) -> Result<Response, ClientError> {
        let key = self.key.as_ref().map(|key| key.0.clone());
        self.send(method, path, body, timeout, key).await
    }

    /// One request, once, which an account signed.
    pub(crate) async fn signed(
        &self,
        method: Method,
        path: &str,
        body: Body,
        by: &str,
    ) -> Result<Response, ClientError> {
        let by = HeaderValue::from_str(by).map_err(|_| ClientError::Key)?;
        self.send(&method, path, body, Some(REQUEST_TIMEOUT), Some(by)).await
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Body,
        timeout: Option<Duration>,
        by: Option<HeaderValue>,
    ) -> Result<Response, ClientError> {
        let url = self.base.join(path).map_err(|_| ClientError::Address(path.to_owned()))?;
        let mut request = self.http.request(method.clone(), url);
        if let Some(by) = by {
            request = request.header(AUTHORIZATION, by);
        }
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        request = match body {
            Body::None => request,
            Body::Json(json) => request.header(CONTENT_TYPE, "application/json").body(json),
            Body::Bytes(bytes) => {
                request.header(CONTENT_TYPE, "application/octet-stream").body(bytes)
            }
        };
        let response = request.send().await.map_err(|source| unreachable(&self.base, source))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    /// A request that may be repeated: it is, with growing delays, while the
    /// error says that this may help.
    pub(crate) async fn repeat(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Response, ClientError> {
        let mut attempt = 1;
        loop {
            match self.once(&method, path, body.clone(), Some(REQUEST_TIMEOUT)).await {
                Err(error) if error.retry() && attempt < ATTEMPTS => {
                    tokio::time::sleep(delay(&error, attempt)).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// A request that must not be sent twice.
    pub(crate) async fn single(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Response, ClientError> {
        self.once(&method, path, body, Some(REQUEST_TIMEOUT)).await
    }

    /// Reads a JSON answer of bounded size.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        response: Response,
    ) -> Result<T, ClientError> {
        let bytes = self.bytes(response, MAX_JSON).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.bad_answer(error.to_string()))
    }

    /// Reads an answer of at most `limit` bytes.
    pub(crate) async fn bytes(
        &self,
        mut response: Response,
        limit: usize,
    ) -> Result<Vec<u8>, ClientError> {
        let mut out = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|source| unreachable(&self.base, source))?
        {
            if out.len() + chunk.len() > limit {
                return Err(self.bad_answer(format!("it is longer than {limit} bytes")));
            }
            out.extend_from_slice(&chunk);
        }
        Ok(out)
    }

    pub(crate) fn bad_answer(&self, why: String) -> ClientError {
        ClientError::Answer { relay: self.relay().to_owned(), why }
    }

    pub(crate) fn unreachable(&self, source: reqwest::Error) -> ClientError {
        unreachable(&self.base, source)
    }

    async fn refusal(&self, response: Response) -> ClientError {
        let status = response.status();
        if status.is_redirection() {
            return self.bad_answer(format!("it redirects (HTTP {})", status.as_u16()));
        }
        let retry_after = (response.headers().get(RETRY_AFTER))
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = self.bytes(response, MAX_ERROR).await.unwrap_or_default();
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(ErrorBody { error }) => ClientError::Refused {
                status: status.as_u16(),
                code: error.code,
                message: printable(&error.message),
                retry_after,
            },
            Err(_) => self.plain_refusal(status, retry_after),
        }
    }

    /// An error without the JSON that relays send: a proxy's, or of something
    /// that is no relay.
    fn plain_refusal(&self, status: StatusCode, retry_after: Option<Duration>) -> ClientError {
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            return self.bad_answer(format!("HTTP {status} without a reason"));
        }
        ClientError::Refused {
            status: status.as_u16(),
            code: "http_error".into(),
            message: format!("{} answered HTTP {status}", self.relay()),
            retry_after,
        }
    }
}

/// How long to wait before repeating what failed with `error`.
pub(crate) fn delay(error: &ClientError, attempt: u32) -> Duration {
    match error {
        ClientError::Refused { retry_after: Some(asked), .. } => (*asked).min(MAX_RETRY_AFTER),
        _ => backoff(attempt),
    }
}

fn unreachable(base: &Url, source: reqwest::Error) -> ClientError {
    let relay = base.as_str().trim_end_matches('/').to_owned();
    ClientError::Unreachable { relay, source: source.without_url() }
}

/// A stranger's text for a terminal: no control characters but line breaks, at
/// most 4096 characters.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').take(4096).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |relay: &str, expect: Option<&str>| {
            let transport = Transport::new(relay, None);
            assert_eq!(transport.as_ref().ok().map(Transport::relay), expect, "{relay}");
        };
        check("http://127.0.0.1:8090", Some("http://127.0.0.1:8090"));
        check("http://127.0.0.1:8090/", Some("http://127.0.0.1:8090"));
        check("https://example.org/grid", Some("https://example.org/grid"));
        check("127.0.0.1:8090", None);
        check("ftp://example.org", None);
        check("http://", None);
        check("http://user:secret@example.org", None);
        check("http://example.org/?key=secret", None);
    }

    #[test]
    fn paths_stay_below_the_address() {
        let transport = Transport::new("http://h/grid", None).unwrap();
        assert_eq!(transport.base.join("v1/jobs").unwrap().as_str(), "http://h/grid/v1/jobs");
    }

    #[test]
    fn loopback_addresses() {
        for here in ["http://localhost:1", "http://127.0.0.1", "http://127.9.9.9", "http://[::1]:2"]
        {
            assert!(is_loopback(here), "{here}");
        }
        for there in ["http://example.org", "http://10.0.0.1", "http://localhost.example.org", "x"]
        {
            assert!(!is_loopback(there), "{there}");
        }
    }

    #[test]
    fn keys_are_never_printed() {
        let key = OwnerKey::new(" s3cret\n").unwrap();
        assert_eq!(key.0.to_str().unwrap(), "Bearer s3cret");
        let transport = Transport::new("http://h", Some(key)).unwrap();
        assert!(!format!("{transport:?}").contains("s3cret"));
        for bad in ["", "  ", "a b", "ä", "a\u{7f}"] {
            assert!(OwnerKey::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn delays_grow_to_a_bound() {
        let delays: Vec<_> = (1..=8).map(|n| backoff(n).as_millis()).collect();
        assert_eq!(delays, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    }

    #[test]
    fn a_strangers_text_can_not_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a[2Jb\nc");
    }
}
