//! The target `receipt`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("receipt"), |bytes: &[u8]| {
    grid_fuzz::protocol::receipt(bytes);
});
