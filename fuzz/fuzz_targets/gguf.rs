//! The target `gguf`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("gguf"), |bytes: &[u8]| {
    grid_fuzz::infer::gguf(bytes);
});
