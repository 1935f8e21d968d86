//! The target `admission`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("admission"), |bytes: &[u8]| {
    grid_fuzz::sandbox::admission(bytes);
});
