//! Models: model files, tokenizers, GGUF and safetensors.

use grid_infer::convert::{Gguf, Safetensors, Source};
use grid_infer::file::Header;
use grid_infer::testing::{self, tokenizers};
use grid_infer::tokenizer::{Parts, Specials, Tokenizer};
use std::io::Cursor;

/// A model file's header. What is accepted has one encoding and sound blocks.
pub fn model_file(bytes: &[u8]) -> bool {
    let Ok(header) = Header::decode(bytes) else { return false };
    assert_eq!(header.encode(), bytes);
    let blocks = (0..header.blocks.len()).map(|number| header.block(number));
    let total: u64 = blocks.map(|block| block.expect("it is counted").span.length).sum();
    assert_eq!(total, header.length);
    for tensor in &header.tensors {
        assert!(tensor.span.end().is_some_and(|end| end <= header.length));
        assert_eq!(header.tensor(&tensor.name), Some(tensor));
    }
    true
}

/// Seeds of [`model_file`].
pub fn model_seeds() -> Vec<Vec<u8>> {
    vec![testing::model().0.encode()]
}

/// A tokenizer section; what is accepted takes any text.
pub fn tokenizer(bytes: &[u8]) -> bool {
    let Ok(tokenizer) = Tokenizer::decode_section(bytes) else { return false };
    assert_eq!(tokenizer.parts().encode(), bytes);
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(1000)]);
    for specials in [Specials::Text, Specials::Parse] {
        let ids = tokenizer.encode(&text, specials);
        assert!(ids.iter().all(|id| (*id as usize) < tokenizer.size()));
        let _ = tokenizer.decode(&ids);
    }
    true
}

/// Seeds of [`tokenizer`].
pub fn tokenizer_seeds() -> Vec<Vec<u8>> {
    let all = [tokenizers::bytes(), tokenizers::pieces(), tokenizers::words()];
    all.iter().map(Parts::encode).collect()
}

/// Reads every row that a source claims to have.
fn read_all(source: &mut dyn Source) {
    for tensor in source.tensors().to_vec() {
        let _ = source.read_rows(&tensor.name, 0..tensor.rows);
        assert!(source.read_rows(&tensor.name, 0..tensor.rows + 1).is_err());
    }
}

/// A GGUF file.
pub fn gguf(bytes: &[u8]) -> bool {
    let Ok(mut file) = Gguf::open(Cursor::new(bytes)) else { return false };
    read_all(&mut file);
    true
}

/// Seeds of [`gguf`].
pub fn gguf_seeds() -> Vec<Vec<u8>> {
    vec![testing::gguf()]
}

/// A safetensors file.
pub fn safetensors(bytes: &[u8]) -> bool {
    let renamed = |name: &str| Some(name.to_owned());
    let Ok(mut file) = Safetensors::open(bytes.to_vec(), renamed) else { return false };
    read_all(&mut file);
    true
}

/// Seeds of [`safetensors`].
pub fn safetensors_seeds() -> Vec<Vec<u8>> {
    vec![testing::safetensors()]
}
