//! The target `host`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("host"), |bytes: &[u8]| {
    grid_fuzz::sandbox::host(bytes);
});
