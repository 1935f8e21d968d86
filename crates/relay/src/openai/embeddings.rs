//! `POST /v1/embeddings`

use super::call::{Asked, submit};
use super::failed::Failed;
use super::params::{MAX_BODY, Params, check_work, find_model, invalid};
use super::wire::{Embedding, EmbeddingList, EmbeddingUsage, Numbers};
use super::{STANDING, headers};
use crate::api::auth::Owner;
use crate::api::body::{compute, read};
use crate::error::AppError;
use crate::inference::embedding_width;
use crate::state::Shared;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grid_protocol::Digest;
use grid_protocol::infer::{EmbedAnswer, EmbedRequest, MAX_TEXTS, Work};
use serde_json::{Value, json};
use std::io::Read as _;
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
    let (name, digest) = (model.name.clone(), model.digest);
    let (groups, tokens) = grouped(texts);
    let counts: Vec<usize> = groups.iter().map(Vec::len).collect();
    let requests = groups.into_iter().map(|texts| json!(EmbedRequest { texts }).to_string());
    let requests = requests.map(String::into_bytes).collect();
    let asked = Asked { model, work: Work::Embed, requests, tokens, seed: None };
    let (mut call, _) = submit(&shared, &owner, asked, false).await?;
    let settled = call.settled().await?;
    let answers: Vec<EmbedAnswer> = call.answers().await?;
    let tokens = answers.iter().map(|answer| answer.tokens).fold(0, u64::saturating_add);
    let width = width(&shared, digest).await;
    let data = vectors(answers, &counts, width)?.into_iter().enumerate().map(|(index, vector)| {
        let embedding = match floats {
            true => Numbers::Floats(vector.iter().copied().map(f64::from).collect()),
            false => Numbers::Base64(base64(&vector)),
        };
        Embedding { object: "embedding", index, embedding }
    });
    let body = EmbeddingList {
        object: "list",
        data: data.collect(),
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

/// How many numbers the model's embeddings have, where its header says.
async fn width(shared: &Shared, model: Digest) -> Option<usize> {
    let blobs = shared.blobs.clone();
    let read = move || {
        let (mut file, _) = blobs.open_blob(model).ok().flatten()?;
        let mut header = Vec::new();
        file.read_to_end(&mut header).ok()?;
        embedding_width(&header)
    };
    compute(read).await
}

/// The embeddings of all texts, in order. What a node says of a group is for
/// that group alone: as many as it has texts, all of one length.
fn vectors(
    answers: Vec<EmbedAnswer>,
    counts: &[usize],
    width: Option<usize>,
) -> Result<Vec<Vec<f32>>, Failed> {
    let bad = |what: &str| {
        let message = format!("a node's answer holds {what}");
        Failed::new(StatusCode::BAD_GATEWAY, "bad_answer", message)
    };
    let mut all: Vec<Vec<f32>> = Vec::with_capacity(counts.iter().sum());
    for (answer, count) in answers.into_iter().zip(counts) {
        if answer.embeddings.len() != *count {
            return Err(bad("another number of embeddings than of texts"));
        }
        for text in &answer.embeddings {
            let vector = numbers(text).ok_or_else(|| bad("no embedding"))?;
            let length = all.first().map(Vec::len).or(width);
            if length.is_some_and(|length| length != vector.len()) {
                return Err(bad("an embedding of another length"));
            }
            all.push(vector);
        }
    }
    Ok(all)
}

/// An embedding's numbers, of which there is one at least.
fn numbers(base64: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(base64).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let sound = rest.is_empty() && !numbers.is_empty();
    (sound && numbers.iter().all(|number| number.is_finite())).then_some(numbers)
}

fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
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

    fn answer(embeddings: &[&[f32]]) -> EmbedAnswer {
        EmbedAnswer { embeddings: embeddings.iter().map(|one| base64(one)).collect(), tokens: 1 }
    }

    #[test]
    fn numbers_are_the_floats() {
        assert_eq!(numbers(&base64(&[0.1, -2.5])).unwrap(), [0.1, -2.5]);
        for none in ["AAAA", "", "?", &base64(&[1.0, f32::NAN]), &base64(&[f32::INFINITY])] {
            assert_eq!(numbers(none), None, "{none}");
        }
    }

    #[test]
    fn a_hostile_answer_shifts_nothing() {
        let (one, two, long): (&[f32], &[f32], &[f32]) = (&[1.0, 0.0], &[0.0, 1.0], &[1.0; 3]);
        let check = |answers: &[&[&[f32]]], counts: &[usize], width| {
            vectors(answers.iter().map(|group| answer(group)).collect(), counts, width)
                .map_err(|failed| failed.parts())
        };
        let right = Ok(vec![one.to_vec(), two.to_vec(), one.to_vec()]);
        assert_eq!(check(&[&[one, two], &[one]], &[2, 1], None), right);
        assert_eq!(check(&[&[one, two], &[one]], &[2, 1], Some(2)), right);
        let bad = Err((502, "bad_answer"));
        for (answers, width) in [
            (&[&[one][..], &[two, one]], None),
            (&[&[one, two][..], &[]], None),
            (&[&[one, two][..], &[one, two]], None),
            (&[&[one, two][..], &[long]], None),
            (&[&[one, long][..], &[one]], None),
            (&[&[long, long][..], &[long]], Some(2)),
        ] {
            assert_eq!(check(answers, &[2, 1], width), bad, "{answers:?}");
        }
    }
}
