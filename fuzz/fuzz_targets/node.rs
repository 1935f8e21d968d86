//! The target `node`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("node"), |bytes: &[u8]| {
    grid_fuzz::node::node(bytes);
});
