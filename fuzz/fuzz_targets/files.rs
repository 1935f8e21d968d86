//! The target `files`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("files"), |bytes: &[u8]| {
    grid_fuzz::protocol::files(bytes);
});
