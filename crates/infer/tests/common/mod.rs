//! The models that `cargo xtask models` fetches.

use grid_infer::tokenizer::Tokenizer;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

/// A converted model, such as `smollm2-135m`.
pub(crate) fn model(name: &str) -> File {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join(target).join("models").join(format!("{name}.gridmodel"));
    File::open(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; `cargo xtask models` fetches and converts it", path.display())
    })
}

/// The tokenizer of a converted model.
pub(crate) fn tokenizer(name: &str) -> Tokenizer {
    let mut file = model(name);
    let header = grid_infer::convert::read_header(&mut file).unwrap().unwrap();
    let mut section = Vec::new();
    assert_eq!(header.tokenizer.offset, 0, "the tokenizer comes first");
    file.take(header.tokenizer.length).read_to_end(&mut section).unwrap();
    Tokenizer::decode_section(&section).unwrap()
}
