//! The target `note`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("note"), |bytes: &[u8]| {
    grid_fuzz::log::note(bytes);
});
