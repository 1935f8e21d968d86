//! The target `module`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("module"), |bytes: &[u8]| {
    grid_fuzz::sandbox::module(bytes);
});
