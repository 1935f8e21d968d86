//! Texts to unit vectors.

use super::{Answer, Halt, Pace, Task, pause, request};
use crate::model::bert::Bert;
use crate::tokenizer::{Specials, Tokenizer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grid_protocol::Digest;
use grid_protocol::infer::{EmbedAnswer, EmbedRequest, MAX_TEXTS};
use grid_tensor::backend::Backend;

pub(super) async fn run<B: Backend>(
    device: &B,
    model: &Bert<B>,
    tokenizer: &Tokenizer,
    task: Task<'_>,
    pace: &mut impl Pace,
) -> Result<Answer, Halt<B::Error>> {
    let EmbedRequest { texts } = request(task.stdin)?;
    if !(1..=MAX_TEXTS).contains(&texts.len()) {
        return Err(Halt::Refused(format!(
            "{} texts, where 1 to {MAX_TEXTS} are taken",
            texts.len()
        )));
    }
    let context = model.config().context;
    let mut tokens = Vec::with_capacity(texts.len());
    for (number, text) in texts.iter().enumerate() {
        let ids = tokenizer.encode_whole(text, Specials::Text, usize::MAX);
        if !(1..=context).contains(&ids.len()) {
            let have = ids.len();
            return Err(Halt::Refused(format!(
                "text {number} has {have} tokens, where 1 to {context} are taken"
            )));
        }
        tokens.push(ids);
    }
    let fuel = model.cost(tokens.iter().map(Vec::len));
    if fuel > task.fuel {
        return Err(Halt::Fuel);
    }

    let mut vectors = Vec::with_capacity(texts.len());
    let mut rest = tokens.as_slice();
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(batch(rest, pace.chunk()));
        let batch: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
        let mut pass = model.start(device, &batch);
        while model.advance(device, &mut pass) {
            pause(device, pace).await?;
        }
        vectors.extend(model.finish(device, &pass).await.map_err(Halt::Device)?);
        pause(device, pace).await?;
        rest = after;
    }

    let bytes: Vec<Vec<u8>> =
        vectors.iter().map(|v| v.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let answer = EmbedAnswer {
        embeddings: bytes.iter().map(|b| STANDARD.encode(b)).collect(),
        tokens: tokens.iter().map(|t| t.len() as u64).sum(),
    };
    let json = serde_json::to_vec(&answer).expect("strings and numbers are always JSON");
    Ok(Answer { json, check: Digest::of(&bytes.concat()), fuel })
}

/// How many texts go through the layers together: at least one, and then no more than a chunk.
fn batch(texts: &[Vec<u32>], chunk: usize) -> usize {
    let mut tokens = 0;
    let fit = texts.iter().take_while(|text| {
        tokens += text.len();
        tokens <= chunk
    });
    fit.count().max(1)
}
