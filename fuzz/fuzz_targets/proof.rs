//! The target `proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("proof"), |bytes: &[u8]| {
    grid_fuzz::log::proof(bytes);
});
