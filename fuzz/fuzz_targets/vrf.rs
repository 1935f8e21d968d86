//! The target `vrf`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("vrf"), |bytes: &[u8]| {
    grid_fuzz::log::vrf(bytes);
});
