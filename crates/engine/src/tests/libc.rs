//! A program in C, through wasi-libc (clang and wasi-libc: `cargo xtask
//! setup`), which checks what it sees itself.

use super::*;
use std::process::Command;

#[test]
fn program_in_c() {
    let folder = std::env::temp_dir();
    let made = folder.join(format!("grid-engine-libc-{}.wasm", std::process::id()));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/libc.c");
    let clang = Command::new("clang")
        .args(["--target=wasm32-wasi", "-O1", "-Wall", "-Wextra", "-Werror", source, "-o"])
        .arg(&made)
        .status();
    assert!(clang.expect("clang is there after `cargo xtask setup`").success());
    let bytes = std::fs::read(&made).unwrap();
    std::fs::remove_file(&made).unwrap();
    let module = ENGINE.load(&admit(&bytes).unwrap().bytes).unwrap();
    let mut input = Files::stdin(b"standard input".to_vec());
    input.insert("/in/a.txt", b"input".to_vec()).unwrap();
    let spec = Spec {
        args: vec!["argument".into()],
        env: vec![("NAME".into(), "value".into())],
        ..spec()
    };
    let go = |_| ControlFlow::Continue(());
    let outcome = ENGINE.run(&module, &spec, input, go).unwrap();
    let text = |path| String::from_utf8_lossy(outcome.output.get(path).unwrap_or_default());
    assert_eq!((text("stdout"), text("stderr")), ("all as it should be\n".into(), "".into()));
    assert_eq!((outcome.reason, outcome.exit_code), (ExitReason::Exit, 42));
    let left: Vec<_> = outcome.output.iter().map(|(path, _)| path).collect();
    assert_eq!(left, ["/out/d/hard", "/out/moved", "stdout"]);
    assert_eq!(text("/out/moved"), "text");
}
