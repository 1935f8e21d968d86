//! SHA-256 of blocks, each over the digest of the one before.

use sha2::{Digest, Sha256};
use std::process::ExitCode;
use task_programs::{Random, run};

const BLOCK: usize = 256 * 1024;

#[inline(never)]
fn digest(before: &[u8], block: &[u8]) -> Vec<u8> {
    Sha256::new().chain_update(before).chain_update(block).finalize().to_vec()
}

fn main() -> ExitCode {
    let setup = || {
        let mut random = Random::new(1);
        let block: Vec<u8> = (0..BLOCK).map(|_| random.next() as u8).collect();
        (vec![0; 32], block)
    };
    run("sha256", setup, |(before, block), _, checksum| {
        for part in block.chunks(16 * 1024) {
            *before = digest(before, part);
        }
        checksum.bytes(before);
    })
}
