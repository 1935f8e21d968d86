//! The target `to_node`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("to_node"), |bytes: &[u8]| {
    grid_fuzz::protocol::to_node(bytes);
});
