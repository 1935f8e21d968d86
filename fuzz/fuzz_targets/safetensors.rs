//! The target `safetensors`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("safetensors"), |bytes: &[u8]| {
    grid_fuzz::infer::safetensors(bytes);
});
