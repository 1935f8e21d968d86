// Task modules for the tests, as WebAssembly text.
import binaryen from 'binaryen';

function assemble(text) {
  const module = binaryen.parseText(text);
  try {
    module.setFeatures(binaryen.Features.MVP);
    return Buffer.from(module.emitBinary());
  } finally {
    module.dispose();
  }
}

const IO = `
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))`;
/** Writes `$len` bytes from `$at` to standard output. */
const PUT = `
  (func $put (param $at i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $len))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))`;

const start = body => assemble(`(module (memory (export "memory") 1) (func (export "_start") ${body}))`);

/** FNV-1a over standard input, `rounds` times, as 4 bytes on standard output. */
export const fnv = (rounds = 1) => assemble(`(module ${IO} (memory (export "memory") 64) ${PUT}
  (func (export "_start") (local $hash i32) (local $at i32) (local $end i32) (local $rounds i32)
    (local.set $end (i32.const 1024))
    (block $all (loop $more
      (i32.store (i32.const 0) (local.get $end))
      (i32.store (i32.const 4) (i32.sub (i32.const 4194304) (local.get $end)))
      (br_if $all (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $all (i32.eqz (i32.load (i32.const 8))))
      (local.set $end (i32.add (local.get $end) (i32.load (i32.const 8))))
      (br $more)))
    (local.set $hash (i32.const 0x811c9dc5))
    (local.set $rounds (i32.const ${rounds}))
    (loop $round
      (local.set $at (i32.const 1024))
      (block $done (loop $byte
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $hash (i32.mul (i32.const 0x01000193)
          (i32.xor (local.get $hash) (i32.load8_u (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $byte)))
      (br_if $round (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (i32.store (i32.const 16) (local.get $hash))
    (call $put (i32.const 16) (i32.const 4))))`);

/** What `fnv` writes. */
export function fnvOf(bytes, rounds = 1) {
  let hash = 0x811c9dc5;
  for (let round = 0; round < rounds; round += 1) {
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  }
  const out = Buffer.alloc(4);
  out.writeInt32LE(hash | 0);
  return out;
}

/** Standard input, to standard output, as it comes. */
export const copy = () => assemble(`(module ${IO} (memory (export "memory") 2) ${PUT}
  (func (export "_start")
    (block $all (loop $more
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 65536))
      (br_if $all (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $all (i32.eqz (i32.load (i32.const 8))))
      (call $put (i32.const 1024) (i32.load (i32.const 8)))
      (br $more)))))`);

export const endless = () => start('(loop $again (br $again))');

/** Counts down from so many millions: about five fuel each time. */
export const countdown = millions => start(`(local $n i64)
  (local.set $n (i64.const ${millions}000000))
  (loop $again (br_if $again (i64.ne (i64.const 0)
    (local.tee $n (i64.sub (local.get $n) (i64.const 1))))))`);

export const trap = () => start('(unreachable)');

export const outOfBounds = () => start('(drop (i32.load (i32.const 0x7ffffff0)))');

export const divide = () => start('(local $zero i32) (drop (i32.div_u (i32.const 1) (local.get $zero)))');

/** Grows until it is refused, writes into every new page, then spins. */
export const grow = () => start(`(local $at i32)
  (block $full (loop $more
    (br_if $full (i32.eq (local.tee $at (memory.grow (i32.const 1))) (i32.const -1)))
    (i32.store (i32.mul (local.get $at) (i32.const 65536)) (i32.const 1))
    (br $more)))
  (loop $again (br $again))`);

/** Grows once by so many pages and traps when it may not. */
export const growBy = pages => start(`
  (if (i32.eq (memory.grow (i32.const ${pages})) (i32.const -1)) (then (unreachable)))`);

export const flood = () => assemble(`(module ${IO} (memory (export "memory") 2) ${PUT}
  (func (export "_start") (loop $again (call $put (i32.const 1024) (i32.const 65536)) (br $again))))`);

/** Recursion without end, with so many locals in each frame. */
export const recursion = locals => assemble(`(module (memory (export "memory") 1)
  (func $deep (param $n i64) (result i64) ${repeat(locals, i => `(local $l${i} i64)`)}
    ${repeat(locals, i => `(local.set $l${i} (i64.add (local.get $n) (i64.const ${i})))`)}
    (local.set $n (call $deep (i64.add (local.get $n) (i64.const 1))))
    ${repeat(locals, i => `(local.set $n (i64.add (local.get $n) (local.get $l${i})))`)}
    (local.get $n))
  (func (export "_start") (drop (call $deep (i64.const 0)))))`);

/** Recursion without end from under an operand stack of this height. */
export const tallStack = height => assemble(`(module (memory (export "memory") 1)
  (func $deep (param $n i64) (result i64)
    ${repeat(height, i => `(i64.add (local.get $n) (i64.const ${i}))`)}
    (call $deep (i64.add (local.get $n) (i64.const 1)))
    ${repeat(height, () => '(i64.add)')})
  (func (export "_start") (drop (call $deep (i64.const 0)))))`);

function repeat(count, text) {
  return Array.from({ length: count }, (_, i) => text(i)).join(' ');
}
