//! A model's settings: from GGUF's metadata, or from the JSON files beside
//! safetensors. A setting that Grid's networks don't have is refused by name,
//! because without it the model would say something else.

use super::gguf::Value;
use super::{ConvertError, vocabulary};
use crate::file::{Family, Number, Parameters};
use crate::tokenizer::Parts;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What a model file says besides its tensors.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) licence: String,
    pub(super) family: Family,
    pub(super) parameters: Parameters,
    pub(super) tokenizer: Parts,
}

/// GGUF's settings of a decoder: its key after the family, our name.
const COUNTS: [(&str, &str); 7] = [
    ("block_count", "layers"),
    ("context_length", "context"),
    ("embedding_length", "embedding"),
    ("feed_forward_length", "feed_forward"),
    ("attention.head_count", "heads"),
    ("attention.head_count_kv", "kv_heads"),
    ("attention.sliding_window", "window"),
];
const FLOATS: [(&str, &str); 2] =
    [("rope.freq_base", "rope_base"), ("attention.layer_norm_rms_epsilon", "norm_epsilon")];
/// Looked at by themselves.
const OTHERS: [&str; 4] =
    ["attention.key_length", "attention.value_length", "rope.dimension_count", "vocab_size"];
/// What Gemma 3's windowed layers use where the file doesn't say.
const GEMMA_LOCAL_BASE: f64 = 10_000.0;

/// Settings of a GGUF file.
pub(super) fn of_gguf(metadata: &BTreeMap<String, Value>) -> Result<Settings, ConvertError> {
    let text = |key: &str| match metadata.get(key) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let architecture = text("general.architecture").unwrap_or_default();
    let family = match architecture {
        "llama" => Family::Llama,
        "gemma3" => Family::Gemma3,
        other => return Err(ConvertError::Family(other.chars().take(64).collect())),
    };
    let prefix = format!("{architecture}.");
    let known = |key: &str| {
        let windowed = key != "attention.sliding_window" || family == Family::Gemma3;
        let table = COUNTS.iter().chain(&FLOATS).any(|(name, _)| *name == key);
        (table && windowed) || OTHERS.contains(&key)
    };
    let mut own = metadata.keys().filter_map(|key| key.strip_prefix(&prefix));
    if let Some(other) = own.find(|key| !known(key)) {
        return Err(ConvertError::Setting(format!("{prefix}{other}")));
    }
    let missing = |key: &str| ConvertError::Missing(format!("{prefix}{key}"));
    let count = |key: &str| match metadata.get(&format!("{prefix}{key}")) {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    };
    let mut parameters = BTreeMap::new();
    let mut put = |name: &str, number: Number| parameters.insert(name.to_owned(), number);
    let whole = |key: &str, number: i128| {
        u64::try_from(number).ok().filter(|n| (1..=1 << 24).contains(n)).ok_or_else(|| missing(key))
    };
    for (key, name) in COUNTS {
        if known(key) {
            let number = count(key).or_else(|| {
                // Without groups each head has keys of its own.
                (name == "kv_heads").then(|| count("attention.head_count")).flatten()
            });
            put(name, Number::Int(whole(key, number.ok_or_else(|| missing(key))?)?));
        }
    }
    for (key, name) in FLOATS {
        let number = match metadata.get(&format!("{prefix}{key}")) {
            Some(Value::Float(number)) if number.is_finite() && *number > 0.0 => *number,
            None if name == "rope_base" => 10_000.0,
            _ => return Err(missing(key)),
        };
        put(name, Number::Float(number));
    }
    let (width, heads) = (count("embedding_length"), count("attention.head_count"));
    let (width, heads) = width.zip(heads).ok_or_else(|| missing("embedding_length"))?;
    let head = count("attention.key_length").unwrap_or(width / heads);
    for key in ["attention.value_length", "rope.dimension_count"] {
        if count(key).is_some_and(|size| size != head) {
            return Err(ConvertError::Setting(format!("{prefix}{key} other than a head's size")));
        }
    }
    put("head_size", Number::Int(whole("attention.key_length", head)?));
    if family == Family::Gemma3 {
        put("rope_base_local", Number::Float(GEMMA_LOCAL_BASE));
    }
    let tokenizer = vocabulary::of_gguf(metadata)?;
    put("vocabulary", Number::Int(tokenizer.tokens.len() as u64));
    Ok(Settings {
        name: title(text("general.name").unwrap_or(architecture)),
        licence: title(text("general.license").unwrap_or_default()),
        family,
        parameters: Parameters(parameters),
        tokenizer,
    })
}

/// A text on one line, not too long.
fn title(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(60).collect()
}

/// The JSON files of a folder, by name.
pub(super) struct JsonFiles<'a> {
    pub(super) config: &'a Json,
    pub(super) tokenizer: &'a Json,
    /// The next three are there in folders of sentence-transformers.
    pub(super) modules: Option<&'a Json>,
    pub(super) pooling: Option<&'a Json>,
    pub(super) sentence: Option<&'a Json>,
}

/// Settings of a folder with BERT's JSON files. `name` is the folder's.
pub(super) fn of_json(name: &str, files: &JsonFiles) -> Result<Settings, ConvertError> {
    let config = files.config;
    let family = config["model_type"].as_str().unwrap_or_default();
    if family != "bert" {
        return Err(ConvertError::Family(family.chars().take(64).collect()));
    }
    for (key, only) in [("hidden_act", "gelu"), ("position_embedding_type", "absolute")] {
        if config[key].as_str().is_some_and(|value| value != only) {
            return Err(ConvertError::Setting(format!("{key} other than {only}")));
        }
    }
    let mut parameters = BTreeMap::new();
    let counts = [
        ("num_hidden_layers", "layers"),
        ("max_position_embeddings", "context"),
        ("hidden_size", "embedding"),
        ("intermediate_size", "feed_forward"),
        ("num_attention_heads", "heads"),
        ("type_vocab_size", "types"),
    ];
    for (key, ours) in counts {
        let number = config[key].as_u64().filter(|n| (1..=1 << 24).contains(n));
        let number = number.ok_or_else(|| ConvertError::Missing(key.into()))?;
        parameters.insert(ours.to_owned(), Number::Int(number));
    }
    let epsilon = config["layer_norm_eps"].as_f64().filter(|number| *number > 0.0);
    let epsilon = epsilon.ok_or_else(|| ConvertError::Missing("layer_norm_eps".into()))?;
    parameters.insert("norm_epsilon".into(), Number::Float(epsilon));
    let number = |key: &str| config[key].as_u64().unwrap_or(0);
    let (width, heads) = (number("hidden_size"), number("num_attention_heads"));
    if width % heads.max(1) != 0 {
        return Err(ConvertError::Setting("hidden_size that heads don't divide".into()));
    }
    parameters.insert("head_size".into(), Number::Int(width / heads.max(1)));
    let context = number("max_position_embeddings");
    let limit = files.sentence.and_then(|file| file["max_seq_length"].as_u64());
    let limit = limit.unwrap_or(context);
    if !(3..=context).contains(&limit) {
        return Err(ConvertError::Missing("max_seq_length".into()));
    }
    parameters.insert("sequence".into(), Number::Int(limit));
    let normalise = pooling(files)?;
    parameters.insert("normalise".into(), Number::Int(u64::from(normalise)));
    let tokenizer = vocabulary::of_json(files.tokenizer)?;
    parameters.insert("vocabulary".into(), Number::Int(tokenizer.tokens.len() as u64));
    let (name, licence) = (title(name), String::new());
    Ok(Settings {
        name,
        licence,
        family: Family::Bert,
        parameters: Parameters(parameters),
        tokenizer,
    })
}

/// Whether vectors are normalised; only means over all tokens are known.
fn pooling(files: &JsonFiles) -> Result<bool, ConvertError> {
    let Some(modules) = files.modules.and_then(Json::as_array) else { return Ok(true) };
    let mut normalise = false;
    for module in modules {
        let kind = module["type"].as_str().unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" | "Pooling" => {}
            "Normalize" => normalise = true,
            other => return Err(ConvertError::Setting(format!("module {other:?}"))),
        }
    }
    let mean = |file: &Json| file["pooling_mode_mean_tokens"].as_bool() == Some(true);
    match files.pooling {
        Some(file) if !mean(file) => Err(ConvertError::Setting("pooling other than mean".into())),
        _ => Ok(normalise),
    }
}
