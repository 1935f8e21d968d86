//! Which tensors each family has, and of which shape.

use super::ConvertError;
use super::source::SourceTensor;
use crate::file::{Family, ParameterError, Parameters};
use std::collections::BTreeMap;

/// Most layers of a model.
const MAX_LAYERS: u64 = 256;
/// Largest width of anything, and largest vocabulary.
const MAX_WIDTH: u64 = 1 << 20;

/// A tensor that a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expected {
    rows: u32,
    cols: u32,
    /// Whether it may be missing.
    optional: bool,
}

fn widths(parameters: &Parameters, names: [&'static str; 5]) -> Result<[u32; 5], ParameterError> {
    let mut out = [0; 5];
    for (width, name) in out.iter_mut().zip(names) {
        *width = parameters.count(name, MAX_WIDTH)? as u32;
    }
    Ok(out)
}

/// The tensors of a model with these parameters, by name.
fn expected(
    family: Family,
    parameters: &Parameters,
) -> Result<BTreeMap<String, Expected>, ParameterError> {
    let mut all = BTreeMap::new();
    let mut add = |name: String, rows: u32, cols: u32, optional: bool| {
        all.insert(name, Expected { rows, cols, optional });
    };
    let layers = parameters.count("layers", MAX_LAYERS)?;
    let names = ["embedding", "feed_forward", "heads", "head_size", "vocabulary"];
    let [width, inner, heads, head, vocabulary] = widths(parameters, names)?;
    let queries = heads.saturating_mul(head);
    add("token_embd.weight".into(), vocabulary, width, false);
    if family == Family::Bert {
        let positions = parameters.count("context", MAX_WIDTH)? as u32;
        let types = parameters.count("types", 256)? as u32;
        add("position_embd.weight".into(), positions, width, false);
        add("token_types.weight".into(), types, width, false);
        for part in ["weight", "bias"] {
            add(format!("token_embd_norm.{part}"), 1, width, false);
        }
        for layer in 0..layers {
            let mut pair = |name: &str, rows: u32, cols: u32, bias: u32| {
                add(format!("blk.{layer}.{name}.weight"), rows, cols, false);
                add(format!("blk.{layer}.{name}.bias"), 1, bias, false);
            };
            for name in ["attn_q", "attn_k", "attn_v"] {
                pair(name, queries, width, queries);
            }
            pair("attn_output", width, queries, width);
            pair("attn_output_norm", 1, width, width);
            pair("ffn_up", inner, width, inner);
            pair("ffn_down", width, inner, width);
            pair("layer_output_norm", 1, width, width);
        }
        return Ok(all);
    }
    let keys = (parameters.count("kv_heads", MAX_WIDTH)? as u32).saturating_mul(head);
    add("output_norm.weight".into(), 1, width, false);
    // Where it is missing the embedding serves as the head.
    add("output.weight".into(), vocabulary, width, true);
    for layer in 0..layers {
        let mut one = |name: &str, rows: u32, cols: u32| {
            add(format!("blk.{layer}.{name}.weight"), rows, cols, false);
        };
        one("attn_norm", 1, width);
        one("attn_q", queries, width);
        one("attn_k", keys, width);
        one("attn_v", keys, width);
        one("attn_output", width, queries);
        one("ffn_norm", 1, width);
        one("ffn_gate", inner, width);
        one("ffn_up", inner, width);
        one("ffn_down", width, inner);
        if family == Family::Gemma3 {
            one("attn_q_norm", 1, head);
            one("attn_k_norm", 1, head);
            one("post_attention_norm", 1, width);
            one("post_ffw_norm", 1, width);
        }
    }
    Ok(all)
}

/// Checks that a source has exactly the tensors of its family.
pub(super) fn check(
    family: Family,
    parameters: &Parameters,
    tensors: &[SourceTensor],
) -> Result<(), ConvertError> {
    let expected =
        expected(family, parameters).map_err(|error| ConvertError::Missing(error.to_string()))?;
    for SourceTensor { name, rows, cols, .. } in tensors {
        let Some(wanted) = expected.get(name) else {
            return Err(ConvertError::UnknownTensor(name.clone()));
        };
        if (wanted.rows, wanted.cols) != (*rows, *cols) {
            return Err(ConvertError::Shape {
                name: name.clone(),
                rows: *rows,
                cols: *cols,
                expected: format!("{} x {}", wanted.rows, wanted.cols),
            });
        }
    }
    let there = |name: &String| tensors.iter().any(|tensor| tensor.name == *name);
    match expected.iter().find(|(name, wanted)| !wanted.optional && !there(name)) {
        Some((name, _)) => Err(ConvertError::MissingTensor(name.clone())),
        None => Ok(()),
    }
}

/// GGUF's name of a tensor of Hugging Face's BERT; none for what sentence
/// embeddings don't use.
pub(super) fn bert_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    if name.starts_with("pooler.") || name.starts_with("cls.") || name == "embeddings.position_ids"
    {
        return None;
    }
    let (stem, part) = name.rsplit_once('.').unwrap_or((name, ""));
    let stem = match stem.strip_prefix("encoder.layer.").and_then(|rest| rest.split_once('.')) {
        Some((layer, stem)) => {
            let ours = match stem {
                "attention.self.query" => "attn_q",
                "attention.self.key" => "attn_k",
                "attention.self.value" => "attn_v",
                "attention.output.dense" => "attn_output",
                "attention.output.LayerNorm" => "attn_output_norm",
                "intermediate.dense" => "ffn_up",
                "output.dense" => "ffn_down",
                "output.LayerNorm" => "layer_output_norm",
                _ => return Some(name.to_owned()),
            };
            format!("blk.{layer}.{ours}")
        }
        None => match stem {
            "embeddings.word_embeddings" => "token_embd".into(),
            "embeddings.position_embeddings" => "position_embd".into(),
            "embeddings.token_type_embeddings" => "token_types".into(),
            "embeddings.LayerNorm" => "token_embd_norm".into(),
            _ => return Some(name.to_owned()),
        },
    };
    Some(format!("{stem}.{part}"))
}
