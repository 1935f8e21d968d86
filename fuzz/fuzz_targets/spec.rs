//! The target `spec`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("spec"), |bytes: &[u8]| {
    grid_fuzz::protocol::spec(bytes);
});
