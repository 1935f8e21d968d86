//! The target `witness`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("witness"), |bytes: &[u8]| {
    grid_fuzz::log::witness(bytes);
});
