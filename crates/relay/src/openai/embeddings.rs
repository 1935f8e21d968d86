//! `POST /v1/embeddings`

use super::call::{Asked, submit};
use super::failed::Failed;
use super::params::{MAX_BODY, Params, check_work, find_model, invalid};
use super::wire::{Embedding, EmbeddingList, EmbeddingUsage, Numbers};
use super::{STANDING, headers};
use crate::api::auth::Owner;
use crate::api::body::read;
use crate::error::AppError;
use crate::state::Shared;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grid_protocol::infer::{EmbedAnswer, EmbedRequest, MAX_TEXTS, Work};
use serde_json::{Value, json};
use std::sync::Arc;

/// Most texts in one call.
pub(super) const MAX_INPUTS: usize = 2_048;
/// Longest text, in bytes.
const MAX_TEXT: usize = 32 << 10;
/// Most text in one task, where it has more than one.
const TASK_TEXT: usize = 32 << 10;

/// `POST /v1/embeddings`
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    owner: Result<Owner, AppError>,
    request: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    let Owner(owner) = owner?;
    let _permit = super::chat::permit(&shared)?;
    let received = read(&shared, &request, body, MAX_BODY).await?;
    let Wanted { model, texts, floats } = parse(&received.bytes)?;
    drop(received);
    let name = model.clone();
    let found = shared.reads.run(move |db| find_model(db, &name)).await?;
    let model = found.ok_or_else(|| Failed::no_model(&model))?;
    check_work(&model, Work::Embed)?;
    let name = model.name.clone();
    let (groups, tokens) = grouped(texts);
    let requests = groups.into_iter().map(|texts| json!(EmbedRequest { texts }).to_string());
    let requests = requests.map(String::into_bytes).collect();
    let asked = Asked { model, work: Work::Embed, requests, tokens, seed: None };
    let (mut call, _) = submit(&shared, &owner, asked, false).await?;
    let settled = call.settled().await?;
    let answers: Vec<EmbedAnswer> = call.answers().await?;
    let tokens: u64 = answers.iter().map(|answer| answer.tokens).sum();
    let all = answers.into_iter().flat_map(|answer| answer.embeddings).enumerate();
    let data = all.map(|(index, embedding)| {
        let embedding = match floats {
            true => Numbers::Floats(numbers(&embedding)?),
            false => Numbers::Base64(embedding),
        };
        Ok(Embedding { object: "embedding", index, embedding })
    });
    let body = EmbeddingList {
        object: "list",
        data: data.collect::<Result<_, Failed>>()?,
        model: name,
        usage: EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens },
    };
    let mut headers = headers(&call.receipt());
    headers.insert(STANDING, standing(settled));
    Ok((headers, Json(body)).into_response())
}

/// The value of [`STANDING`].
pub(crate) fn standing(settled: bool) -> HeaderValue {
    HeaderValue::from_static(if settled { "canonical" } else { "provisional" })
}

struct Wanted {
    model: String,
    texts: Vec<String>,
    floats: bool,
}

fn parse(body: &[u8]) -> Result<Wanted, Failed> {
    let mut params = Params::parse(body)?;
    let model = params.text("model")?;
    let form = "a text or a list of texts; tokens are not supported";
    let texts: Vec<String> = match params.required("input")? {
        Value::String(text) => vec![text],
        Value::Array(texts) => texts
            .into_iter()
            .map(|text| match text {
                Value::String(text) => Ok(text),
                _ => Err(invalid("input", form)),
            })
            .collect::<Result<_, _>>()?,
        _ => return Err(invalid("input", form)),
    };
    if texts.is_empty() || texts.len() > MAX_INPUTS {
        return Err(invalid("input", &format!("1 to {MAX_INPUTS} texts")));
    }
    if texts.iter().any(|text| text.is_empty() || text.len() > MAX_TEXT) {
        return Err(invalid("input", &format!("texts of 1 to {MAX_TEXT} bytes each")));
    }
    let floats = match params.take("encoding_format") {
        None => true,
        Some(format) if format == "float" => true,
        Some(format) if format == "base64" => false,
        Some(_) => return Err(invalid("encoding_format", "`float` or `base64`")),
    };
    params.take("user");
    params.finish()?;
    Ok(Wanted { model, texts, floats })
}

/// Texts in the order given, a few to a task; and the most tokens that a task
/// may come to: no token is shorter than a byte.
fn grouped(texts: Vec<String>) -> (Vec<Vec<String>>, u64) {
    let (mut groups, mut bytes, mut most) = (Vec::<Vec<String>>::new(), 0, 0);
    for text in texts {
        let room = bytes + text.len() <= TASK_TEXT;
        match groups.last_mut() {
            Some(group) if room && group.len() < MAX_TEXTS => {
                bytes += text.len();
                group.push(text);
            }
            _ => {
                bytes = text.len();
                groups.push(vec![text]);
            }
        }
        most = most.max(bytes);
    }
    (groups, (most + 4 * MAX_TEXTS) as u64)
}

/// An embedding as numbers.
fn numbers(base64: &str) -> Result<Vec<f64>, Failed> {
    let message = "a node's answer holds no embedding";
    let bad = || Failed::new(StatusCode::BAD_GATEWAY, "bad_answer", message);
    let bytes = STANDARD.decode(base64).map_err(|_| bad())?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(bad());
    }
    Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_grouped_in_order() {
        let text = |size: usize| "x".repeat(size);
        let sizes = |sizes: &[usize]| {
            let (groups, _) = grouped(sizes.iter().map(|size| text(*size)).collect());
            groups.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[1; 40]), [16, 16, 8]);
        assert_eq!(sizes(&[MAX_TEXT, 1, 1]), [1, 2]);
        assert_eq!(sizes(&[20_000, 20_000, 100]), [1, 2]);
    }

    #[test]
    fn numbers_are_the_floats() {
        let floats: Vec<u8> = [0.1f32, -2.5].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(numbers(&STANDARD.encode(&floats)).unwrap(), [f64::from(0.1f32), -2.5]);
        assert!(numbers("AAAA").is_err());
    }
}
