//! The target `ids`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("ids"), |bytes: &[u8]| {
    grid_fuzz::protocol::ids(bytes);
});
