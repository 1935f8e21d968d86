//! The longest Collatz sequences below a bound.

use std::process::ExitCode;
use task_programs::run;

#[inline(never)]
fn length(start: u64) -> u64 {
    let (mut number, mut steps) = (start, 1);
    while number != 1 {
        number = if number % 2 == 0 { number / 2 } else { 3 * number + 1 };
        steps += 1;
    }
    steps
}

fn main() -> ExitCode {
    run(
        "collatz",
        || 1,
        |start, _, checksum| {
            let best = (*start..*start + 20_000).map(|start| (length(start), start)).max();
            let (steps, found) = best.unwrap_or_default();
            checksum.number(steps);
            checksum.number(found);
            *start += 20_000;
        },
    )
}
