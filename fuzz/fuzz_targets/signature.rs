//! The target `signature`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("signature"), |bytes: &[u8]| {
    grid_fuzz::protocol::signature(bytes);
});
