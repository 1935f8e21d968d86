//! Calls: Fibonacci numbers and Takeuchi's function by plain recursion.

use std::process::ExitCode;
use task_programs::run;

#[inline(never)]
fn fib(n: u32) -> u64 {
    if n < 2 { n.into() } else { fib(n - 1) + fib(n - 2) }
}

#[inline(never)]
fn tak(x: i32, y: i32, z: i32) -> i32 {
    if y >= x { z } else { tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y)) }
}

fn main() -> ExitCode {
    run(
        "fib",
        || (),
        |(), round, checksum| {
            checksum.number(fib(24 + round % 4));
            checksum.number(tak(14, 8, (round % 4) as i32) as u64);
        },
    )
}
