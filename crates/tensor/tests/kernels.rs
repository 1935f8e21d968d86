//! The kernels on this machine's GPU, or on lavapipe, against the reference.
#![cfg(feature = "gpu")]

use std::sync::LazyLock;
use std::time::Instant;

use grid_tensor::gpu::check::{self, Report, Scope};
use grid_tensor::gpu::{Error, Gpu, Options, Tiles};

fn clock() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64() * 1000.0
}

fn open(options: Options) -> Gpu {
    pollster::block_on(Gpu::open(options)).unwrap_or_else(|error| {
        panic!("{error}\nInstall a Vulkan driver; mesa-vulkan-drivers on Debian has one that needs no GPU.")
    })
}

fn check(options: Options, scope: Scope, seed: u64, rounds: usize) {
    let gpu = open(options);
    let Report { cases, wrong } =
        pollster::block_on(check::run(&gpu, scope, seed, rounds)).expect("the device stays");
    assert!(
        wrong.is_empty(),
        "{:?}\n{} of {cases} cases are wrong:\n{}",
        gpu.about(),
        wrong.len(),
        wrong.join("\n")
    );
    assert!(cases >= rounds * 9, "only {cases} cases");
}

#[test]
fn as_fits_the_device() {
    check(Options::new(clock), Scope::All, 1, 20);
}

#[test]
fn as_for_a_gpu_with_subgroups() {
    check(
        Options { tiles: Some(Tiles::gpu(true, 32)), ..Options::new(clock) },
        Scope::Products,
        2,
        20,
    );
}

#[test]
fn as_for_a_gpu_without_subgroups_or_packed_products() {
    check(
        Options { tiles: Some(Tiles::gpu(false, 0)), timestamps: false, ..Options::new(clock) },
        Scope::Products,
        3,
        20,
    );
}

#[test]
fn as_for_a_processor() {
    check(
        Options { tiles: Some(Tiles::processor(true)), ..Options::new(clock) },
        Scope::Products,
        4,
        20,
    );
}

#[test]
fn a_lost_device_says_so() {
    let gpu = open(Options::new(clock));
    gpu.lose();
    let end = pollster::block_on(check::run(&gpu, Scope::Products, 1, 1));
    assert!(matches!(end, Err(Error::Lost(_) | Error::Failed(_))), "{end:?}");
}
