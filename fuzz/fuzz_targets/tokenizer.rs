//! The target `tokenizer`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("tokenizer"), |bytes: &[u8]| {
    grid_fuzz::infer::tokenizer(bytes);
});
