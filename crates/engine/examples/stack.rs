//! temporary
fn main() {
    let count = "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))";
    let rep = |s: &str, n| s.repeat(n);
    let mut cases: Vec<(String, String)> = vec![];
    let mut add = |n: &str, t: String| cases.push((n.into(), t));
    add("1local", format!("(func $f (local i32) {count} (call $f))"));
    add("0local", format!("(func $f {count} (call $f))"));
    add("result", format!("(func $f (result i32) {count} (i32.add (call $f) (i32.const 1)))"));
    for n in [10, 100, 1000, 5000] {
        add(&format!("locals{n}"), format!("(func $f (local {}) {count} (call $f) (drop (local.get 3)))", rep("i64 ", n)));
        add(&format!("ilocals{n}"), format!("(func $f (local {}) {count} (call $f) (drop (local.get 3)))", rep("i32 ", n)));
        // live locals: set from a load, used after the call
        let set: String = (0..n).map(|i| format!("(local.set {i} (i64.load (i32.const {})))", 8 + i * 8)).collect();
        let used: String = (0..n).map(|i| format!("(i64.store (i32.const {}) (local.get {i}))", 8 + i * 8)).collect();
        add(&format!("live{n}"), format!("(func $f (local {}) {set} {count} (call $f) {used})", rep("i64 ", n)));
        add(&format!("operands{n}"), format!("(func $f {} {count} (call $f) {} (drop))", rep("(i64.load (i32.const 16)) ", n), rep("(i64.add) ", n - 1)));
        let set: String = (0..n).map(|i| format!("(local.set {i} (v128.load (i32.const {})))", 8 + i * 16)).collect();
        let used: String = (0..n).map(|i| format!("(v128.store (i32.const {}) (local.get {i}))", 8 + i * 16)).collect();
        add(&format!("v128live{n}"), format!("(func $f (local {}) {set} {count} (call $f) {used})", rep("v128 ", n)));
        add(&format!("voperands{n}"), format!("(func $f {} {count} (call $f) {} (drop))", rep("(v128.load (i32.const 16)) ", n), rep("(i64x2.add) ", n - 1)));
    }
    for n in [1, 8, 50, 200] {
        add(&format!("params{n}"), format!("(func $f {count} (call $g {v})) (func $g (param {p}) {count} (call $g {w}))", p = rep("i64 ", n), v = rep("(i64.const 1) ", n), w = (0..n).map(|i| format!("(local.get {i}) ")).collect::<String>()));
        add(&format!("fparams{n}"), format!("(func $f {count} (call $g {v})) (func $g (param {p}) {count} (call $g {w}))", p = rep("f64 ", n), v = rep("(f64.const 1) ", n), w = (0..n).map(|i| format!("(local.get {i}) ")).collect::<String>()));
        add(&format!("vparams{n}"), format!("(func $f {count} (call $g {v})) (func $g (param {p}) {count} (call $g {w}))", p = rep("v128 ", n), v = rep("(v128.const i64x2 1 2) ", n), w = (0..n).map(|i| format!("(local.get {i}) ")).collect::<String>()));
        add(&format!("results{n}"), format!("(func $f {count} (call $g) {d}) (func $g (result {p}) {count} (call $g))", p = rep("i64 ", n), d = rep("drop ", n)));
        add(&format!("vresults{n}"), format!("(func $f {count} (call $g) {d}) (func $g (result {p}) {count} (call $g))", p = rep("v128 ", n), d = rep("drop ", n)));
    }
    add("indirect", format!("(table 1 funcref) (elem (i32.const 0) $f) (type $t (func)) (func $f {count} (call_indirect (type $t) (i32.const 0)))"));
    add("mutual", format!("(func $f {count} (call $g)) (func $g (local i64 i64) {count} (call $h)) (func $h {count} (call $f))"));
    // cold inlinee with many live values
    let set: String = (0..200).map(|i| format!("(local.set {i} (i64.load (i32.const {})))", 8 + i * 8)).collect();
    let used: String = (0..200).map(|i| format!("(i64.store (i32.const {}) (local.get {i}))", 8 + i * 8)).collect();
    for n in [100, 1000] {
    let e: String = (0..n).map(|i| format!("(i64.store (i32.const {}) (i64.mul (local.get 0) (i64.add (local.get 0) (i64.const {}))))", 8 + i * 8, i * 7 + 12345)).collect();
    add(&format!("gvn{n}"), format!("(func $f {count} (call $g (i64.load (i32.const 4)))) (func $g (param i64) {count} {e} (call $g (i64.load (i32.const 4))) {e})"));
    }
    std::fs::create_dir_all("/tmp/stack").unwrap();
    let mut names = vec![];
    for (name, more) in cases {
        let drop = if more.contains("$f (result") { "drop" } else { "" };
        let text = format!(r#"(module (memory (export "memory") 4) (func (export "_start") (call $f) {drop}) {more})"#);
        let raw = match wat::parse_str(&text) { Ok(r) => r, Err(e) => { println!("{name}: {e}"); continue } };
        match grid_sandbox::admit(&raw) {
            Ok(a) => { std::fs::write(format!("/tmp/stack/{name}.raw"), raw).unwrap(); std::fs::write(format!("/tmp/stack/{name}.adm"), a.bytes).unwrap(); names.push(name); }
            Err(e) => println!("{name}: {e}"),
        }
    }
    std::fs::write("/tmp/stack/names.json", format!("{names:?}")).unwrap();
}
