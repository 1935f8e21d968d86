//! How many draws a second one core proves and verifies, beside one strict
//! Ed25519 verification: `cargo run --release -p grid-log --example vrf_speed`.

use grid_log::vrf::{Proof, Prover, Verifier};
use grid_protocol::SigningKey;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 20_000;

fn main() {
    let prover = Prover::from_seed([7; 32]);
    // tidy-allow(pure): a benchmark measures time; the crate itself never does.
    let start = Instant::now();
    let verifier = Verifier::new(&prover.public()).expect("the key of a seed is sound");
    println!("prepare a verifier: {:.1} ms", 1e3 * start.elapsed().as_secs_f64());
    let key = SigningKey::from_seed([7; 32]);
    let inputs: Vec<[u8; 32]> =
        (0..ROUNDS).map(|n| grid_log::merkle::leaf_hash(&n.to_be_bytes()).0).collect();

    let mut proofs: Vec<Proof> = Vec::new();
    rate("prove", || proofs.extend(inputs.iter().map(|input| prover.prove(input).0)));
    rate("verify", || {
        for (input, proof) in inputs.iter().zip(&proofs) {
            black_box(verifier.verify(input, proof)).expect("made above");
        }
    });
    let signed: Vec<_> = inputs.iter().map(|input| key.sign(input)).collect();
    rate("ed25519 verify_strict", || {
        for (input, signature) in inputs.iter().zip(&signed) {
            black_box(key.public().verify_strict(input, signature)).expect("made above");
        }
    });
}

fn rate(name: &str, run: impl FnOnce()) {
    // tidy-allow(pure): a benchmark measures time; the crate itself never does.
    let start = Instant::now();
    run();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{name}: {:.0} a second, {:.1} us each",
        ROUNDS as f64 / seconds,
        1e6 * seconds / ROUNDS as f64
    );
}
