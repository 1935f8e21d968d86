//! Long answers that anyone may ask for and that follow from the entries alone:
//! made once after each entry, by one at a time, and shared by all who ask.

use crate::error::{AppError, Code};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

/// The last answer, and the entry that it follows from.
#[derive(Debug, Default)]
pub(crate) struct Cached(tokio::sync::Mutex<Option<(u64, Bytes)>>);

impl Cached {
    /// The JSON of what `make` gives, with the last entry that counts; `None`
    /// where that is the one which it is called with.
    pub(crate) async fn json<T: Serialize>(
        &self,
        make: impl AsyncFnOnce(Option<u64>) -> Result<Option<(u64, T)>, AppError>,
    ) -> Result<Response, AppError> {
        let mut last = self.0.lock().await;
        if let Some((seq, answer)) = make(last.as_ref().map(|(seq, _)| *seq)).await? {
            let json = serde_json::to_vec(&answer);
            let json = json.map_err(|error| Code::Internal.because(error.to_string()))?;
            *last = Some((seq, json.into()));
        }
        let json = last.as_ref().map(|(_, json)| json.clone()).unwrap_or_default();
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
        let fails = cached.json::<u64>(async |_| Err(AppError::not_found())).await;
        assert!(fails.is_err(), "and no answer is older than its question");
    }
}
