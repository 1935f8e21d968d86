//! The target `leaf`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("leaf"), |bytes: &[u8]| {
    grid_fuzz::protocol::leaf(bytes);
});
