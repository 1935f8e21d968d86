#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    grid_fuzz::audit::leaves(bytes);
});
