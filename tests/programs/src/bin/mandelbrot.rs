//! The Mandelbrot set, f64, one line of a picture after another.

use std::process::ExitCode;
use task_programs::run;

const SIDE: u32 = 128;
const LIMIT: u32 = 200;

#[inline(never)]
fn steps(re: f64, im: f64) -> u32 {
    let (mut x, mut y) = (0.0, 0.0);
    for step in 0..LIMIT {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > 4.0 {
            return step;
        }
        y = 2.0 * x * y + im;
        x = xx - yy + re;
    }
    LIMIT
}

fn main() -> ExitCode {
    run(
        "mandelbrot",
        || 3.0,
        |width, _, checksum| {
            for row in 0..SIDE {
                let im = (f64::from(row) / f64::from(SIDE) - 0.5) * *width;
                for column in 0..SIDE {
                    let re = (f64::from(column) / f64::from(SIDE) - 0.5) * *width - 0.5;
                    checksum.number(steps(re, im).into());
                }
            }
            *width *= 0.97;
        },
    )
}
