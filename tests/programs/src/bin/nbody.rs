//! The sun and four planets, f64 (the Computer Language Benchmarks Game's).

use std::process::ExitCode;
use task_programs::run;

const PI: f64 = std::f64::consts::PI;
const SOLAR_MASS: f64 = 4.0 * PI * PI;
const YEAR: f64 = 365.24;

#[derive(Clone, Copy)]
struct Body {
    at: [f64; 3],
    speed: [f64; 3],
    mass: f64,
}

const fn body(at: [f64; 3], speed: [f64; 3], mass: f64) -> Body {
    let speed = [speed[0] * YEAR, speed[1] * YEAR, speed[2] * YEAR];
    Body { at, speed, mass: mass * SOLAR_MASS }
}

const BODIES: [Body; 5] = [
    body([0.0; 3], [0.0; 3], 1.0),
    body(
        [4.841_431_442_464_72, -1.160_320_044_027_428_4, -0.103_622_044_471_123_11],
        [0.001_660_076_642_744_037, 0.007_699_011_184_197_404, -0.000_069_046_001_697_206_3],
        0.000_954_791_938_424_326_6,
    ),
    body(
        [8.343_366_718_244_58, 4.124_798_564_124_305, -0.403_523_417_114_321],
        [-0.002_767_425_107_268_624, 0.004_998_528_012_349_172, 0.000_023_041_729_757_376_4],
        0.000_285_885_980_666_130_8,
    ),
    body(
        [12.894_369_562_139_131, -15.111_151_401_698_631, -0.223_307_578_892_655_74],
        [0.002_964_601_375_647_616, 0.002_378_471_739_594_809_5, -0.000_029_658_956_854_023_76],
        0.000_043_662_440_433_515_63,
    ),
    body(
        [15.379_697_114_850_917, -25.919_314_609_987_964, 0.179_258_772_950_371_18],
        [0.002_680_677_724_903_893_2, 0.001_628_241_700_382_423, -0.000_095_159_225_451_971_59],
        0.000_051_513_890_204_661_145,
    ),
];

#[inline(never)]
fn advance(bodies: &mut [Body; 5], step: f64) {
    for first in 0..5 {
        for second in first + 1..5 {
            let (a, b) = (bodies[first], bodies[second]);
            let apart = [a.at[0] - b.at[0], a.at[1] - b.at[1], a.at[2] - b.at[2]];
            let square = apart[0] * apart[0] + apart[1] * apart[1] + apart[2] * apart[2];
            let pull = step / (square * square.sqrt());
            for (axis, distance) in apart.into_iter().enumerate() {
                bodies[first].speed[axis] -= distance * b.mass * pull;
                bodies[second].speed[axis] += distance * a.mass * pull;
            }
        }
    }
    for body in bodies {
        for axis in 0..3 {
            body.at[axis] += step * body.speed[axis];
        }
    }
}

fn main() -> ExitCode {
    run(
        "nbody",
        || BODIES,
        |bodies, _, checksum| {
            for _ in 0..40_000 {
                advance(bodies, 0.001);
            }
            bodies.iter().flat_map(|body| body.at).for_each(|number| checksum.float(number));
        },
    )
}
