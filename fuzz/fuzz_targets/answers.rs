//! The target `answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("answers"), |bytes: &[u8]| {
    grid_fuzz::api::answers(bytes);
});
