//! Maps: inserts, looks up and removes in a hash map and in a B-tree.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::process::ExitCode;
use task_programs::{Random, run};

// The default hasher's keys are random; these are always the same.
type Hashed = HashMap<u32, u64, BuildHasherDefault<DefaultHasher>>;

struct State {
    random: Random,
    hashed: Hashed,
    ordered: BTreeMap<u32, u64>,
}

fn main() -> ExitCode {
    let setup =
        || State { random: Random::new(11), hashed: Hashed::default(), ordered: BTreeMap::new() };
    run("maps", setup, |state, _, checksum| {
        for _ in 0..25_000 {
            let value = state.random.next();
            let key = state.random.below(50_000);
            *state.hashed.entry(key).or_default() ^= value;
            match value % 3 {
                0 => drop(state.ordered.remove(&(key ^ 1))),
                1 => drop(state.ordered.insert(key, value)),
                _ => {
                    let next = state.ordered.range(key..).next();
                    let seen = next.and_then(|(next, _)| state.hashed.get(next));
                    checksum.number(seen.copied().unwrap_or(1));
                }
            }
        }
        checksum.number(state.hashed.len() as u64);
        state
            .ordered
            .iter()
            .step_by(97)
            .for_each(|(&key, value)| checksum.number(value ^ u64::from(key)));
    })
}
