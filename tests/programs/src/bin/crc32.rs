//! CRC-32 by tables, over pieces of odd sizes.

use std::process::ExitCode;
use task_programs::{Random, run};

#[inline(never)]
fn crc(piece: &[u8]) -> u32 {
    crc32fast::hash(piece)
}

fn main() -> ExitCode {
    let setup = || {
        let mut random = Random::new(2);
        (0..1 << 20).map(|_| random.next() as u8).collect::<Vec<u8>>()
    };
    run("crc32", setup, |data, round, checksum| {
        for piece in data.chunks(3001 + round as usize % 64) {
            checksum.number(crc(piece).into());
        }
    })
}
