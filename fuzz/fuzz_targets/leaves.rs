//! The target `leaves`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("leaves"), |bytes: &[u8]| {
    grid_fuzz::audit::leaves(bytes);
});
