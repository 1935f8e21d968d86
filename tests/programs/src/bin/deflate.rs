//! DEFLATE: compresses text with miniz_oxide and unpacks it again.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec;
use std::process::ExitCode;
use task_programs::{run, text};

fn main() -> ExitCode {
    let setup = || text(3, 128 * 1024).into_bytes();
    run("deflate", setup, |text, round, checksum| {
        let packed = compress_to_vec(text, 6);
        let unpacked = decompress_to_vec(&packed).unwrap_or_default();
        assert!(unpacked == *text, "what was unpacked differs");
        checksum.bytes(&packed);
        // Other text for the next round.
        let length = text.len();
        text.rotate_left(1 + round as usize * 977 % length);
    })
}
