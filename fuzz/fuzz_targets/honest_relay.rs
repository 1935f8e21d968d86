//! The target `honest_relay`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: grid_fuzz::write_seeds("honest_relay"), |bytes: &[u8]| {
    grid_fuzz::audit::honest_relay(bytes);
});
