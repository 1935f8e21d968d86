//! The target `from_node`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("from_node"), |bytes: &[u8]| {
    grid_fuzz::protocol::from_node(bytes);
});
