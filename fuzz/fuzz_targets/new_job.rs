//! The target `new_job`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("new_job"), |bytes: &[u8]| {
    grid_fuzz::api::new_job(bytes);
});
