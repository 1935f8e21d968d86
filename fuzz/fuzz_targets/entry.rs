//! The target `entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("entry"), |bytes: &[u8]| {
    grid_fuzz::protocol::entry(bytes);
});
