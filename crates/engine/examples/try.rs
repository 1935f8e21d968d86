//! temporary
use grid_protocol::*;
use grid_sandbox::*;
use std::ops::ControlFlow;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let src = std::fs::read(&a[1]).unwrap();
    let t = std::time::Instant::now();
    let adm = match admit(&src) { Ok(x) => x, Err(e) => { println!("REFUSED {e}"); return; } };
    let t1 = t.elapsed();
    std::fs::write("/tmp/progs/admitted.wasm", &adm.bytes).unwrap();
    let e = grid_engine::Engine::new().unwrap();
    let t = std::time::Instant::now();
    let m = e.load(&adm.bytes).unwrap();
    let t2 = t.elapsed();
    let spec = Spec { runtime: Runtime::Wasm, arithmetic: 0, source: Digest::ZERO, module: Digest::ZERO, admission: ADMISSION, args: a[2..].to_vec(), env: vec![("LANG".into(), "C".into())], seed: [7; 32], input: Digest::ZERO, fuel: 1 << 40, memory_pages: 4096, output_bytes: 16 << 20 };
    let mut input = Files::stdin(b"the input".to_vec());
    input.insert("/in/a.txt", b"first\nsecond\n".to_vec()).unwrap();
    input.insert("/in/sub/b.txt", b"nested".to_vec()).unwrap();
    let t = std::time::Instant::now();
    let o = e.run(&m, &spec, input, |_| ControlFlow::Continue(())).unwrap();
    let t3 = t.elapsed();
    for (p, b) in o.output.iter() { println!("--- {p} ({} bytes)\n{}", b.len(), String::from_utf8_lossy(b)); }
    println!("=== {:?} {} fuel {} hint {:?}; {} -> {} bytes; admit {t1:?} compile {t2:?} run {t3:?}", o.reason, o.exit_code, o.fuel, o.hint, src.len(), adm.bytes.len());
}
