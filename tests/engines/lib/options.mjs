// Command line shared by run.mjs and soak.mjs.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');

const OPTIONS = {
  /** The program engine-cases. */
  cases: { type: 'string', default: join(target, 'debug/examples/engine-cases') },
  extension: { type: 'string', default: join(root, 'dist/chrome/') },
  examples: { type: 'string', default: process.env.CARGO_TARGET_DIR ?? join(root, 'examples/target') },
  programs: { type: 'string', default: join(root, 'target/programs/wasm32-wasip1/release') },
  spec: { type: 'string', default: join(root, 'tests/spec-tests') },
  /** Run these parts only: tasks, spec, smith. */
  only: { type: 'string', multiple: true, default: [] },
  /** Random modules: number of the first, and how many. */
  from: { type: 'string' },
  modules: { type: 'string' },
  /** Where the soak run notes how far it is. */
  state: { type: 'string', default: join(target, 'soak-sandbox.json') },
};

export function options() {
  const { values } = parseArgs({ options: OPTIONS });
  const folder = mkdtempSync(join(tmpdir(), 'grid-engines-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return {
    ...values,
    from: values.from === undefined ? undefined : Number(values.from),
    modules: values.modules === undefined ? undefined : Number(values.modules),
    folder,
    examples: { modules: values.examples, sources: join(root, 'examples') },
    programs: { modules: values.programs, list: join(root, 'tests/programs/programs.json') },
  };
}
