// The tasks that all engines must agree on: examples, real programs, and
// modules that end in every way there is.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as modules from '../../browser/lib/modules.mjs';

/** Limits of what has no good end: a large stack of output or memory shows nothing more. */
const SMALL = { fuel: 100_000_000, memory_pages: 64, output_bytes: 65_536 };

/** The hostile modules of the browser tests. */
const HOSTILE = {
  'an endless loop': [modules.endless, 'out_of_fuel'],
  'memory growth without end': [modules.grow, 'out_of_fuel'],
  'growth beyond the limit': [() => modules.growBy(100), 'trap'],
  'growth within the limit': [() => modules.growBy(60), 'exit'],
  'deep recursion': [() => modules.recursion(1), 'stack'],
  'deep recursion of large frames': [() => modules.recursion(5_000), 'stack'],
  'deep recursion under operands': [() => modules.tallStack(900), 'stack'],
  'a flood of output': [modules.flood, 'output_limit'],
  'a load out of bounds': [modules.outOfBounds, 'trap'],
  'division by zero': [modules.divide, 'trap'],
  'a long count': [() => modules.countdown(10), 'exit'],
};

/** As crates/engine/src/tests has it: `hello`, then `body`. */
const program = (body, more = '') => `(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 100) "hello\\n")
  (func $print (param i32 i32)
    (i32.store (i32.const 0) (local.get 0))
    (i32.store (i32.const 4) (local.get 1))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start") (call $print (i32.const 100) (i32.const 6)) ${body})
  ${more})`;

const TABLE = `(table 2 funcref) (type $t (func (param i32))) (elem (i32.const 0) $print)
  (elem $e func $print) (data $d "abc")`;

/** Every kind of trap. */
const TRAPS = [
  '(unreachable)',
  '(drop (i32.div_s (i32.const 1) (i32.const 0)))',
  '(drop (i32.rem_u (i32.const 1) (i32.const 0)))',
  '(drop (i64.div_u (i64.const 1) (i64.const 0)))',
  '(drop (i64.rem_s (i64.const 1) (i64.const 0)))',
  '(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))',
  '(drop (i64.div_s (i64.const 0x8000000000000000) (i64.const -1)))',
  '(drop (i32.trunc_f32_s (f32.const nan)))',
  '(drop (i32.trunc_f64_u (f64.const -1)))',
  '(drop (i64.trunc_f32_u (f32.const inf)))',
  '(drop (i64.trunc_f64_s (f64.const 1e19)))',
  '(drop (i32.load (i32.const -1)))',
  '(drop (i64.load offset=4294967295 (i32.const 1)))',
  '(drop (i32.load8_u (i32.const 131072)))',
  '(drop (v128.load (i32.const 131057)))',
  '(drop (v128.load64_lane 0 (i32.const 131065) (v128.const i64x2 0 0)))',
  '(i32.store16 (i32.const 131071) (i32.const 0))',
  '(f64.store (i32.const 131065) (f64.const 0))',
  '(v128.store (i32.const -16) (v128.const i64x2 0 0))',
  '(memory.fill (i32.const 0) (i32.const 0) (i32.const 131073))',
  '(memory.copy (i32.const 1) (i32.const 0) (i32.const 131072))',
  '(memory.init $d (i32.const 0) (i32.const 0) (i32.const 4))',
  '(data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))',
  '(call_indirect (type $t) (i32.const 1) (i32.const 0)) (call_indirect (type $t) (i32.const 1) (i32.const 1))',
  '(call_indirect (type $t) (i32.const 1) (i32.const 2))',
  '(call_indirect (result i32) (i32.const 0)) (drop)',
  '(drop (table.get 0 (i32.const 2)))',
  '(table.set 0 (i32.const -1) (ref.null func))',
  '(table.fill 0 (i32.const 1) (ref.null func) (i32.const 2))',
  '(table.copy (i32.const 1) (i32.const 0) (i32.const 2))',
  '(table.init $e (i32.const 2) (i32.const 0) (i32.const 1))',
];

const repeat = (text, count) => `${text} `.repeat(count);

/** Recursions without end, of many shapes of frame. */
const RECURSIONS = [
  '(func $f (local i32) (call $f))',
  '(func $f (local f64 i64) (drop (call $g (local.get 0) (local.get 1)))) (func $g (param f64 i64) (result i64) (call $f) (i64.const 1))',
  `(func $f (local ${repeat('i64', 5_000)}) (call $f) (drop (local.get 7)))`,
  `(func $f ${repeat('(i64.const 1)', 3_000)} (call $f) (i64.const 1) ${repeat('(i64.add)', 3_000)} (drop))`,
  `(func $f (local ${repeat('v128', 500)}) (call $f))`,
  `(func $g (param ${repeat('i64', 200)}) (call $g ${repeat('(local.get 0)', 200)}))
   (func $f (local i64) (call $g ${repeat('(local.get 0)', 200)}))`,
  '(table 1 funcref) (elem (i32.const 0) $f) (type $t (func)) (func $f (call_indirect (type $t) (i32.const 0)))',
  '(func $f (call $g)) (func $g (local i64 i64) (call $h)) (func $h (call $f))',
];

/** Ends that are no trap. */
const OTHERS = [
  ['an exit code', program('(call $proc_exit (i32.const 7)) (unreachable)'), 'exit'],
  ['an exit code above what a byte holds', program('(call $proc_exit (i32.const -2))'), 'exit'],
  ['output of exactly the limit', program('(call $print (i32.const 100) (i32.const 65524))'), 'exit'],
  ['output of one byte too many', program('(call $print (i32.const 100) (i32.const 65525))'), 'output_limit'],
  ['growth by nothing, too much, and up to the limit', program(`
    (i32.store (i32.const 200) (memory.grow (i32.const 0)))
    (i32.store (i32.const 204) (memory.grow (i32.const -1)))
    (i32.store (i32.const 208) (memory.grow (i32.const 63)))
    (i32.store (i32.const 212) (memory.grow (i32.const 62)))
    (i32.store (i32.const 216) (memory.grow (i32.const 1)))
    (i32.store (i32.const 4194300) (memory.size))
    (call $print (i32.const 200) (i32.const 24)) (call $print (i32.const 4194300) (i32.const 4))`), 'exit'],
  ['a declared maximum', program(`
    (i32.store (i32.const 200) (memory.grow (i32.const 2)))
    (i32.store (i32.const 204) (memory.grow (i32.const 1)))
    (call $print (i32.const 200) (i32.const 8))`).replace('"memory") 2', '"memory") 2 3'), 'exit'],
  ['growth beyond a declared maximum, without end', program(
    '(loop $again (drop (memory.grow (i32.const 1000))) (br $again))',
  ).replace('"memory") 2', '"memory") 2 3'), 'out_of_fuel'],
  ['more memory at first than the limit', program('').replace('"memory") 2', '"memory") 65'), 'trap'],
  ['bulk operations by size', program('(call $bulk)', `(func $bulk (local i32)
    (loop $again
      (memory.fill (i32.const 70000) (local.get 0) (i32.mul (local.get 0) (i32.const 7)))
      (memory.copy (i32.const 80000) (i32.const 70000) (i32.mul (local.get 0) (i32.const 5)))
      (local.set 0 (i32.add (local.get 0) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get 0) (i32.const 1000))))
    (call $print (i32.const 80000) (i32.const 5000)))`), 'exit'],
];

/** A tile of the Mandelbrot set that takes no long time. */
const TILE = `picture 320 240
centre -0.743643887 0.131825904
width 0.004
iterations 500
samples 1
tile 160 80 64 48
`;

/** The examples, on their own data. */
function examples({ modules: folder, sources }) {
  const rust = name => join(folder, `wasm32-wasip1/release/${name}.wasm`);
  const stdin = file => ({ stdin: { file: join(sources, file) } });
  const task = (name, module, input) => (
    { name: `example ${name}`, module, input, reason: 'exit', cut: true });
  return [
    task('word-frequencies', rust('word-frequencies'), stdin('word-frequencies/data/chapter-01.txt')),
    task('csv-stats', rust('csv-stats'), stdin('csv-stats/data/penguins-2007.csv')),
    task('mandelbrot', join(sources, 'target/mandelbrot.wasm'), { stdin: { text: TILE } }),
  ];
}

/** The real programs of tests/programs, on their tiny arguments. */
function realPrograms({ list, modules: folder }) {
  const { programs } = JSON.parse(readFileSync(list, 'utf8'));
  return programs.map(({ name, tiny: { args, stdout } }) => (
    { name: `program ${name}`, module: join(folder, `${name}.wasm`), args, stdout, reason: 'exit', cut: true }));
}

/** Writes the modules that are made here into `folder`; returns the manifest. */
export function manifest({ folder, examples: where, programs }) {
  const made = Object.entries(HOSTILE).map(([name, [make, reason]], number) => {
    const module = join(folder, `hostile-${number}.wasm`);
    writeFileSync(module, make());
    return { name, module, reason, ...SMALL };
  });
  const text = (name, wat, reason) => ({ name, wat, reason, ...SMALL, cut: true });
  const body = '(call $f)';
  return [
    ...made,
    ...TRAPS.map(code => text(`trap ${code}`, program(code, TABLE), 'trap')),
    ...RECURSIONS.map((more, number) => text(`recursion ${number}`, program(body, more), 'stack')),
    ...OTHERS.map(([name, wat, reason]) => text(name, wat, reason)),
    ...examples(where),
    ...realPrograms(programs),
  ];
}
