//! Sorting: numbers (unstable sort), and strings (stable sort) after that.

use std::process::ExitCode;
use task_programs::{Random, run, text};

#[inline(never)]
fn sort_numbers(numbers: &mut [u64]) {
    numbers.sort_unstable();
}

#[inline(never)]
fn sort_words(words: &mut [&str]) {
    words.sort();
}

fn main() -> ExitCode {
    let setup = || (Random::new(7), text(8, 24 * 1024));
    run("sort", setup, |(random, text), _, checksum| {
        let mut numbers: Vec<u64> = (0..30_000).map(|_| random.next()).collect();
        sort_numbers(&mut numbers);
        numbers.iter().step_by(61).for_each(|&number| checksum.number(number));

        let mut words: Vec<&str> = text.split_whitespace().collect();
        let turn = random.below(words.len() as u32) as usize;
        words.rotate_left(turn);
        sort_words(&mut words);
        words.iter().step_by(37).for_each(|word| checksum.bytes(word.as_bytes()));
    })
}
