//! The target `model_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("model_file"), |bytes: &[u8]| {
    grid_fuzz::infer::model_file(bytes);
});
