//! Tokenizers: from GGUF's metadata, or from tokenizer.json.

use super::ConvertError;
use super::gguf::Value;
use crate::tokenizer::{Algorithm, Kind, Parts, Split, Template};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};

fn refuse<T>(why: impl Into<String>) -> Result<T, ConvertError> {
    Err(ConvertError::Vocabulary(why.into()))
}

/// What byte-level BPE writes for each byte: GPT-2's `bytes_to_unicode`.
fn byte_alphabet() -> HashMap<char, u8> {
    let plain = |byte: &u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let others = (0..=255).filter(|byte| !plain(byte)).zip(256..);
    let others = others.filter_map(|(byte, code)| char::from_u32(code).map(|char| (char, byte)));
    (0..=255).filter(plain).map(|byte| (char::from(byte), byte)).chain(others).collect()
}

/// The tokenizer of a GGUF file.
pub(super) fn of_gguf(metadata: &BTreeMap<String, Value>) -> Result<Parts, ConvertError> {
    let get = |key: &str| metadata.get(&format!("tokenizer.ggml.{key}"));
    let text = |key: &str| match get(key) {
        Some(Value::Text(text)) => text.as_str(),
        _ => "",
    };
    let list = |key: &str| match get(key) {
        Some(Value::List(list)) => Ok(list.as_slice()),
        _ => refuse(format!("tokenizer.ggml.{key} is missing")),
    };
    let algorithm = match text("model") {
        "gpt2" => Algorithm::Bytes,
        "llama" => Algorithm::Pieces,
        other => return refuse(format!("it is of the kind {other:?}; gpt2 and llama can")),
    };
    let split = match (algorithm, text("pre")) {
        (Algorithm::Bytes, "smollm") => Split::Smollm,
        (Algorithm::Bytes, "llama-bpe") => Split::Llama3,
        (Algorithm::Bytes, "gpt-2" | "gpt2") | (Algorithm::Pieces, "default" | "") => Split::Gpt2,
        (_, other) => return refuse(format!("its words are cut by {other:?}")),
    };
    let texts = list("tokens")?.iter().map(|value| match value {
        Value::Text(text) => Ok(text.as_str()),
        _ => refuse("a token is no text"),
    });
    let texts: Vec<&str> = texts.collect::<Result<_, _>>()?;
    let kinds = list("token_type")?.iter().map(|value| match value {
        Value::Int(1) => Ok(Kind::Normal),
        Value::Int(2) => Ok(Kind::Unknown),
        Value::Int(3) => Ok(Kind::Control),
        Value::Int(4) => Ok(Kind::User),
        Value::Int(5) => Ok(Kind::Unused),
        Value::Int(6) => Ok(Kind::Byte),
        _ => refuse("a token is of an unknown type"),
    });
    let kinds: Vec<Kind> = kinds.collect::<Result<_, _>>()?;
    if kinds.len() != texts.len() {
        return refuse("its tokens and their types are of different number");
    }
    let alphabet = byte_alphabet();
    let tokens = texts.iter().zip(&kinds).map(|(text, kind)| {
        let bytes = match (kind, algorithm) {
            (Kind::Normal, Algorithm::Bytes) => {
                text.chars().map(|char| alphabet.get(&char).copied()).collect()
            }
            (Kind::Normal, _) => Some(text.replace('\u{2581}', " ").into_bytes()),
            (Kind::Byte, _) => byte_of(text).map(|byte| vec![byte]),
            _ => Some(text.as_bytes().to_vec()),
        };
        bytes.map_or_else(|| refuse(format!("token {text:?} is not what its type says")), Ok)
    });
    let tokens: Vec<Vec<u8>> = tokens.collect::<Result<_, _>>()?;
    let merges = match algorithm {
        Algorithm::Bytes => merges(list("merges")?, &texts)?,
        _ => Vec::new(),
    };
    let scores = match algorithm {
        Algorithm::Pieces => list("scores")?
            .iter()
            .map(|value| match value {
                Value::Float(score) => Ok(*score as f32),
                _ => refuse("a score is no number"),
            })
            .collect::<Result<_, _>>()?,
        _ => Vec::new(),
    };
    let id = |key: &str| match get(key) {
        Some(Value::Int(id)) => u32::try_from(*id).ok(),
        _ => None,
    };
    let flag = |key: &str, default: bool| match get(key) {
        Some(Value::Bool(flag)) => *flag,
        _ => default,
    };
    let pieces = algorithm == Algorithm::Pieces;
    let end = id("eos_token_id");
    let named = ["<|im_end|>", "<end_of_turn>", "<|eot_id|>"].into_iter().filter_map(|name| {
        let id = texts.iter().position(|text| *text == name)?;
        (kinds[id] == Kind::Control).then_some(id as u32)
    });
    let mut stops: Vec<u32> =
        [end, id("eot_token_id")].into_iter().flatten().chain(named).collect();
    stops.sort_unstable();
    stops.dedup();
    let template = match metadata.get("tokenizer.chat_template") {
        Some(Value::Text(jinja)) => Template::recognise(jinja),
        _ => Template::None,
    };
    let parts = Parts {
        algorithm,
        split,
        template,
        add_begin: flag("add_bos_token", pieces),
        add_end: flag("add_eos_token", false),
        space_prefix: pieces && flag("add_space_prefix", true),
        uncased: false,
        begin: id("bos_token_id"),
        end,
        unknown: id("unknown_token_id"),
        stops,
        kinds,
        tokens: tokens.iter().collect(),
        merges: merges.into(),
        scores,
    };
    parts.check()?;
    Ok(parts)
}

/// `<0x0A>`
fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

fn merges(list: &[Value], texts: &[&str]) -> Result<Vec<[u32; 2]>, ConvertError> {
    let ids: HashMap<&str, u32> = texts.iter().copied().zip(0..).collect();
    let pair = |value: &Value| {
        let Value::Text(text) = value else { return None };
        let (left, right) = text.split_once(' ')?;
        Some([*ids.get(left)?, *ids.get(right)?])
    };
    let pairs = list.iter().enumerate().map(|(rank, value)| match pair(value) {
        Some(pair) => Ok(pair),
        None => refuse(format!("merge {rank} is not of two tokens")),
    });
    pairs.collect()
}

/// The tokenizer of a tokenizer.json: BERT's WordPiece.
pub(super) fn of_json(json: &Json) -> Result<Parts, ConvertError> {
    let is = |json: &Json, kind: &str| json["type"] == kind;
    let (model, normaliser) = (&json["model"], &json["normalizer"]);
    if !is(model, "WordPiece") || !is(normaliser, "BertNormalizer") {
        return refuse("tokenizer.json is not WordPiece with BERT's normaliser");
    }
    let uncased = normaliser["lowercase"] == true;
    let strips = normaliser["strip_accents"].as_bool().unwrap_or(uncased);
    let plain = normaliser["clean_text"] == true && normaliser["handle_chinese_chars"] == true;
    let prefix = model["continuing_subword_prefix"] == "##";
    let words =
        model["max_input_chars_per_word"] == 100 && is(&json["pre_tokenizer"], "BertPreTokenizer");
    if strips != uncased || !plain || !prefix || !words {
        return refuse("tokenizer.json has other settings than BERT's");
    }
    let Some(vocabulary) = model["vocab"].as_object() else {
        return refuse("tokenizer.json has no vocabulary");
    };
    let mut tokens: Vec<Option<&str>> = vec![None; vocabulary.len()];
    for (text, id) in vocabulary {
        let slot = id.as_u64().and_then(|id| tokens.get_mut(usize::try_from(id).ok()?));
        match slot {
            Some(slot @ None) => *slot = Some(text.as_str()),
            _ => return refuse(format!("token {text:?} has a number that is out of order")),
        }
    }
    let tokens: Vec<&str> = tokens.into_iter().flatten().collect();
    let mut kinds = vec![Kind::Normal; tokens.len()];
    for added in json["added_tokens"].as_array().into_iter().flatten() {
        let id = added["id"].as_u64().and_then(|id| usize::try_from(id).ok());
        let known = id.and_then(|id| tokens.get(id)).is_some_and(|text| added["content"] == **text);
        match id {
            Some(id) if known && added["special"] == true => kinds[id] = Kind::Control,
            _ => return refuse("tokenizer.json adds tokens that are not of its vocabulary"),
        }
    }
    for (kind, text) in kinds.iter_mut().zip(&tokens) {
        if text.is_empty() {
            *kind = Kind::Unused;
        }
    }
    let id = |text: &str| {
        let id = tokens.iter().position(|token| *token == text).map(|id| id as u32);
        id.map_or_else(|| refuse(format!("the vocabulary misses {text}")), Ok)
    };
    let unknown = model["unk_token"].as_str().unwrap_or("[UNK]");
    let parts = Parts {
        algorithm: Algorithm::Words,
        split: Split::Gpt2,
        template: Template::None,
        add_begin: true,
        add_end: true,
        space_prefix: false,
        uncased,
        begin: Some(id("[CLS]")?),
        end: Some(id("[SEP]")?),
        unknown: Some(id(unknown)?),
        stops: Vec::new(),
        kinds,
        tokens: tokens.iter().collect(),
        merges: Vec::new().into(),
        scores: Vec::new(),
    };
    parts.check()?;
    Ok(parts)
}
