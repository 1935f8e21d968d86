// Tiny models, and what they answer natively.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
const program = join(target, 'debug/examples/tiny');
const folder = join(target, 'tiny-models');

let made = false;

/** The model files, made anew once in a run: `{llama, bert}`. */
export function tinyModels() {
  if (!made) execFileSync(program, ['make', folder]);
  made = true;
  return { llama: join(folder, 'llama.gridmodel'), bert: join(folder, 'bert.gridmodel') };
}

/** A model that `cargo xtask models` fetched; nothing where it did not. */
export function realModel(name) {
  const file = join(root, 'target/models', `${name}.gridmodel`);
  return existsSync(file) ? file : undefined;
}

/**
 * A task run natively: `{model, spec, input, stdout, output, check, fuel}`; spec and input as
 * hexadecimal digits. `draft` is a file.
 */
export function natively(file, work, request, draft) {
  const input = JSON.stringify(request);
  const args = ['run', file, work, ...(draft ? [draft] : [])];
  return JSON.parse(execFileSync(program, args, { input, encoding: 'utf8', maxBuffer: 1 << 26 }));
}

/** A model file in its parts, as a relay serves them: `{header, blocks}`. */
export function parts(file) {
  const bytes = readFileSync(file);
  const length = 16 + bytes.readUInt32LE(12);
  const blocks = [];
  for (let at = Math.ceil(length / 64) * 64; at < bytes.length; at += 1 << 20) {
    blocks.push(bytes.subarray(at, at + (1 << 20)));
  }
  return { header: bytes.subarray(0, length), blocks };
}
