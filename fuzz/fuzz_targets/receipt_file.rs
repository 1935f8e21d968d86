//! The target `receipt_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("receipt_file"), |bytes: &[u8]| {
    grid_fuzz::api::receipt_file(bytes);
});
