//! Long answers that anyone may ask for and that follow from the entries alone:
//! made once after each entry, where they are very long once a second at most, by
//! one at a time, and shared by all who ask.

use crate::error::{AppError, Code};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use std::time::{Duration, Instant};

/// An answer over so many bytes serves everyone for [`KEPT`], though entries came.
const LONG: usize = 64 * 1024;
const KEPT: Duration = Duration::from_secs(1);

/// The last answer.
#[derive(Debug, Default)]
pub(crate) struct Cached(tokio::sync::Mutex<Option<Made>>);

#[derive(Debug)]
struct Made {
    at: Instant,
    /// The entry that it follows from.
    seq: u64,
    json: Bytes,
}

impl Cached {
    /// The JSON of what `make` gives, with the last entry that counts; `None`
    /// where that is the one which it is called with.
    pub(crate) async fn json<T: Serialize + Send + 'static>(
        &self,
        make: impl AsyncFnOnce(Option<u64>) -> Result<Option<(u64, T)>, AppError>,
    ) -> Result<Response, AppError> {
        let mut last = self.0.lock().await;
        let fresh = |made: &Made| made.json.len() > LONG && made.at.elapsed() < KEPT;
        if !last.as_ref().is_some_and(fresh)
            && let Some((seq, answer)) = make(last.as_ref().map(|made| made.seq)).await?
        {
            let json = tokio::task::spawn_blocking(move || serde_json::to_vec(&answer)).await;
            let json = json.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            let json = json.map_err(|error| Code::Internal.because(error.to_string()))?;
            *last = Some(Made { at: Instant::now(), seq, json: json.into() });
        }
        let json = last.as_ref().map(|made| made.json.clone()).unwrap_or_default();
        Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response) -> Bytes {
        axum::body::to_bytes(response.into_body(), 100).await.unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_made_once_after_each_entry() {
        let cached = Cached::default();
        let mut made = 0;
        for seq in [5, 5, 6, 6, 6] {
            let answer = cached.json(async |known| {
                let new = known != Some(seq);
                made += u32::from(new);
                Ok(new.then_some((seq, seq)))
            });
            assert_eq!(body(answer.await.unwrap()).await, seq.to_string());
        }
        assert_eq!(made, 2);
        let long = cached.json(async |_| Ok(Some((7, "a".repeat(LONG))))).await.unwrap();
        drop(long);
        cached.json::<u64>(async |_| panic!("it was made just now")).await.unwrap();
        if let Some(made) = &mut *cached.0.lock().await {
            made.at -= KEPT;
        }
        let fails = cached.json::<u64>(async |_| Err(AppError::not_found())).await;
        assert!(fails.is_err(), "and no answer is older than its question");
    }
}
