//! Every target as an ordinary test.

use grid_fuzz::mutate::{Random, mutate};
use grid_fuzz::{TARGETS, Target};
use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long each target is given mutations: some five seconds in all.
const TIME: Duration = Duration::from_millis(200);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Runs a target; on a panic says what to put into `regressions`.
fn run(target: &Target, bytes: &[u8]) -> bool {
    let run = target.run;
    let result = catch_unwind(|| run(bytes));
    result.unwrap_or_else(|_| panic!("{} panics on {}", target.name, hex::encode(bytes)))
}

#[test]
fn seeds_are_accepted() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        for (number, seed) in seeds.iter().enumerate() {
            assert!(run(target, seed), "{} refuses its seed {number}", target.name);
        }
    }
}

#[test]
fn mutated_seeds_break_no_promise() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        let mut random = Random::new(1);
        let end = Instant::now() + TIME;
        while Instant::now() < end {
            let mut pick = || &seeds[random.next() as usize % seeds.len()];
            let (seed, other) = (pick(), pick());
            run(target, &mutate(&mut random, seed, other));
        }
    }
}

/// What was found once stays fixed: `regressions/TARGET/*`.
#[test]
fn what_was_found_stays_fixed() {
    let Ok(targets) = fs::read_dir(folder("regressions")) else { return };
    for entry in targets {
        let path = entry.unwrap().path();
        let target = TARGETS.iter().find(|target| path.ends_with(target.name));
        let target = target.unwrap_or_else(|| panic!("{} is no target", path.display()));
        for input in fs::read_dir(&path).unwrap() {
            run(target, &fs::read(input.unwrap().path()).unwrap());
        }
    }
}

/// Each target has its program, and cargo-fuzz finds it.
#[test]
fn every_target_has_its_program() {
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    let files = fs::read_dir(folder("fuzz_targets")).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let expected: BTreeSet<String> =
        TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect();
    assert_eq!(files, expected);
    for target in TARGETS {
        let path = format!("path = \"fuzz_targets/{}.rs\"", target.name);
        assert!(manifest.contains(&path), "{} is missing in Cargo.toml", target.name);
    }
}
