//! The target `proof_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("proof_file"), |bytes: &[u8]| {
    grid_fuzz::audit::proof_file(bytes);
});
