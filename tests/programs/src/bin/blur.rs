//! Gaussian blur of a picture: 8 bits, separable kernel of seven taps.

use std::process::ExitCode;
use task_programs::{Random, run};

const WIDTH: usize = 320;
const HEIGHT: usize = 240;
const KERNEL: [u32; 7] = [1, 6, 15, 20, 15, 6, 1];

/// Blurs a line; pixels beyond its ends are those at its ends.
#[inline(never)]
fn blur_line(line: &[u8], into: &mut [u8]) {
    let last = line.len() - 1;
    for (x, out) in into.iter_mut().enumerate() {
        let mut sum = 32;
        for (tap, weight) in KERNEL.iter().enumerate() {
            let from = (x + tap).saturating_sub(3).min(last);
            sum += u32::from(line[from]) * weight;
        }
        *out = (sum / 64) as u8;
    }
}

#[inline(never)]
fn transpose(picture: &[u8], width: usize, into: &mut [u8]) {
    let height = picture.len() / width;
    for (y, line) in picture.chunks_exact(width).enumerate() {
        for (x, &pixel) in line.iter().enumerate() {
            into[x * height + y] = pixel;
        }
    }
}

fn blur(picture: &mut [u8], width: usize) {
    let mut other = vec![0; picture.len()];
    for (line, into) in picture.chunks_exact(width).zip(other.chunks_exact_mut(width)) {
        blur_line(line, into);
    }
    transpose(&other, width, picture);
}

fn main() -> ExitCode {
    let setup = || {
        let mut random = Random::new(10);
        (0..WIDTH * HEIGHT).map(|_| random.next() as u8).collect::<Vec<u8>>()
    };
    run("blur", setup, |picture, round, checksum| {
        let turn = round as usize * 31 % picture.len();
        picture.rotate_left(turn);
        blur(picture, WIDTH);
        blur(picture, HEIGHT);
        checksum.bytes(&picture[..WIDTH * 8]);
        for pixel in picture.iter_mut().step_by(3) {
            *pixel = pixel.wrapping_mul(77).wrapping_add(13);
        }
    })
}
