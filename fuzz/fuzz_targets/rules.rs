//! The target `rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("rules"), |bytes: &[u8]| {
    grid_fuzz::audit::rules(bytes);
});
