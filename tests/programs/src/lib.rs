//! What the programs share: how one is started and ended, numbers made from a
//! seed, and a checksum of what was computed.
//!
//! A program is rounds of the same size, and each round calls the functions
//! that do the work: engines replace a function by its optimised form at a
//! call, never in the middle of a loop (docs/task-modules.md).

use std::process::ExitCode;

/// Runs a program: `PROGRAM ROUNDS` prints `PROGRAM ROUNDS CHECKSUM`. Rounds
/// are counted from 0 and work on what `setup` made.
pub fn run<T>(
    name: &str,
    setup: impl FnOnce() -> T,
    mut round: impl FnMut(&mut T, u32, &mut Checksum),
) -> ExitCode {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse::<u32>().ok());
    let Some(rounds) = rounds else {
        eprintln!("usage: {name} ROUNDS");
        return ExitCode::from(2);
    };
    let mut state = setup();
    let mut checksum = Checksum::default();
    for number in 0..rounds {
        round(&mut state, number, &mut checksum);
    }
    println!("{name} {rounds} {:016x}", checksum.0);
    ExitCode::SUCCESS
}

/// FNV-1a, 64 bits.
#[derive(Debug, Clone, Copy)]
pub struct Checksum(u64);

impl Default for Checksum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Checksum {
    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds a number, little-endian.
    pub fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Adds the bits of a number.
    pub fn float(&mut self, number: f64) {
        self.number(number.to_bits());
    }
}

/// Numbers from a seed: xorshift64* (Vigna, 2016).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Different seeds give different numbers; any seed will do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    #[allow(clippy::should_implement_trait, reason = "an endless source is no iterator to go over")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below a bound, which is not 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.next() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// A number from 0 to 1, the latter excluded.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Lines of words that follow Zipf's law, as text does; about `length` bytes.
#[must_use]
pub fn text(seed: u64, length: usize) -> String {
    let mut random = Random::new(seed);
    let words: Vec<String> = (0..500)
        .map(|_| {
            let letters = 2 + random.below(8);
            (0..letters).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
        })
        .collect();
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        let rank = (random.unit() * random.unit() * words.len() as f64) as usize;
        text.push_str(words.get(rank).map_or("", String::as_str));
        text.push(if random.below(12) == 0 { '\n' } else { ' ' });
    }
    text
}
