//! The module written in C against the same source built natively.
#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use examples_tests::{Left, c_module, examples, files, run};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The native build, in a folder of its own.
struct Native {
    folder: TempDir,
}

impl Native {
    fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let done = Command::new(&compiler)
            .args(["-std=c11", "-O2", "-ffp-contract=off", "-o"])
            .arg(folder.path().join("mandelbrot"))
            .arg(examples().join("mandelbrot/mandelbrot.c"))
            .output()
            .unwrap_or_else(|error| panic!("no C compiler {compiler:?}: {error}"));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Self { folder }
    }

    /// Runs it; the tile goes to `tile`.
    fn run(&self, input: &Path, tile: &Path) -> Left {
        let done = Command::new(self.folder.path().join("mandelbrot"))
            .arg(tile)
            .stdin(File::open(input).unwrap())
            .output()
            .unwrap();
        let stderr = String::from_utf8(done.stderr).unwrap();
        Left { ok: done.status.success(), stdout: done.stdout, stderr }
    }

    /// Checks that the module gives the same for a description.
    fn check(&self, description: &str) -> Left {
        let (out, native) = (self.folder.path().join("task"), self.folder.path().join("tile"));
        let input = self.folder.path().join("input");
        fs::write(&input, description).unwrap();
        for old in [&out, &native] {
            let _ = fs::remove_dir_all(old);
            let _ = fs::remove_file(old);
        }
        let expect = self.run(&input, &native);
        let left = run(&c_module(), &[], &input, &out);
        assert_eq!(left, expect, "{description}");
        let tile = |path: PathBuf| fs::read(path).ok();
        assert_eq!(tile(out.join("out/tile.ppm")), tile(native), "{description}");
        left
    }
}

/// The tiles of the shipped inputs, each computed by a task, make the picture
/// that the native program draws in one piece.
#[test]
fn tiles_join_to_the_picture() {
    let native = Native::build();
    let results = tempfile::tempdir().unwrap();
    let inputs = files(&examples().join("mandelbrot/inputs"));
    for input in &inputs {
        let out = results.path().join(input.file_name().unwrap());
        let left = run(&c_module(), &[], input, &out);
        assert!(left.ok, "{}", left.stderr);
    }
    let picture = mandelbrot_join::join(results.path()).unwrap();

    let whole = tempfile::tempdir().unwrap();
    let description = fs::read_to_string(&inputs[0]).unwrap();
    let (head, _) = description.split_once("\ntile ").unwrap();
    let input = whole.path().join("input");
    fs::write(&input, format!("{head}\ntile 0 0 {} {}\n", picture.width, picture.height)).unwrap();
    let left = native.run(&input, &whole.path().join("tile.ppm"));
    assert!(left.ok, "{}", left.stderr);
    assert!(picture == mandelbrot_join::join(whole.path()).unwrap(), "the pictures differ");
    // Neither one colour nor noise: sky, gold and the black of the set.
    let black = picture.pixels.chunks(3).filter(|pixel| *pixel == [0, 0, 0]).count();
    assert!(black < picture.pixels.len() / 30, "{black} pixels are black");
}

const TASK: &str = "picture 64 48\ncentre -0.5 0\nwidth 3.2\niterations 200\n";

#[test]
fn descriptions() {
    let native = Native::build();
    let good = |tile: &str| assert!(native.check(&format!("{TASK}{tile}")).ok);
    good("tile 0 0 64 48");
    good("samples 3\r\n\n  # a comment\r\ntile 63 47 1 1\r\n");
    good("centre 1e8 -99999999.5\nwidth 1e-3\ntile 0 0 8 8\n");
    good("width 1e-300\ncentre -0.75 0.1\ntile 0 0 8 8\n");
}

#[test]
fn wrong_descriptions() {
    let native = Native::build();
    let wrong = |description: &str, expect: &str| {
        let left = native.check(description);
        assert!(!left.ok && left.stdout.is_empty(), "{description}");
        assert_eq!(left.stderr, format!("mandelbrot: {expect}\n"), "{description}");
    };
    wrong("", "the description has no \"picture\"");
    wrong(TASK, "the description has no \"tile\"");
    wrong("colour 1\n", "line 1: unknown name \"colour\"");
    wrong("\ntile 1 2 3\n", "line 2: the name needs 4 number(s), each below 1e9");
    wrong("width nan\n", "line 1: the name needs 1 number(s), each below 1e9");
    wrong("width 1 2\n", "line 1: something follows the 1 number(s)");
    wrong(&format!("# {}\n", "x".repeat(300)), "line 1 is too long");
    let tile = "tile: it must lie within the picture, its sides from 1 to 4096";
    for place in ["1 0 64 48", "0 0 0 1", "-1 0 1 1", "0.5 0 1 1", "0 0 64 49"] {
        wrong(&format!("{TASK}tile {place}\n"), tile);
    }
    let with = |line: &str| format!("{TASK}tile 0 0 1 1\n{line}\n");
    wrong(&with("picture 64 65537"), "picture: two whole numbers from 1 to 65536 are needed");
    wrong(&with("iterations 0"), "iterations: a whole number from 1 to 10000000 is needed");
    wrong(&with("samples 9"), "samples: a whole number from 1 to 8 is needed");
    wrong(&with("width 0"), "width: it must be positive");
}
