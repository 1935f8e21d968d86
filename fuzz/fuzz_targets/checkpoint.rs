//! The target `checkpoint`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("checkpoint"), |bytes: &[u8]| {
    grid_fuzz::log::checkpoint(bytes);
});
