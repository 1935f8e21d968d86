// The same task run natively by `grid run`.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Runs a module with standard input; `{reason, exit_code, fuel, output, ...}`. */
export async function native(gridBin, module, stdin = '', more = []) {
  const folder = mkdtempSync(join(tmpdir(), 'grid-native-'));
  try {
    writeFileSync(join(folder, 'module.wasm'), module);
    writeFileSync(join(folder, 'input'), stdin);
    const args = ['run', join(folder, 'module.wasm'), '--input', join(folder, 'input'), '--json', ...more];
    const run = promisify(execFile)(gridBin, args, { maxBuffer: 1 << 26 });
    // A task that failed is exit code 5, and printed all the same.
    const { stdout } = await run.catch(error => {
      if (error.code === 5) return error;
      throw error;
    });
    return JSON.parse(stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
