//! The target `tile`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("tile"), |bytes: &[u8]| {
    grid_fuzz::log::tile(bytes);
});
