// The kernels in both browsers' WebGPU against the reference: `node run.mjs`.
// `--bench chromium,firefox` measures there instead and prints one JSON object.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Rig } from '../engines/lib/rig.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? join(here, '../../target');
const { values: given } = parseArgs({
  options: {
    /** The folder of gpu_page.js, where wasm-bindgen put it. */
    glue: { type: 'string', default: join(target, 'kernels') },
    bench: { type: 'string' },
    /** How kernels are cut when measured: a name of CUTS. */
    tiles: { type: 'string', default: 'fitting' },
  },
});
const PAGE = '/kernels/page.mjs';
/** How kernels are cut. All operators run as fits the device, matrix products in the other ways. */
const CUTS = ['fitting', 'subgroups', 'plain', 'processor'];
/** Rounds of cases. */
const ROUNDS = 2;

const rig = await Rig.start({
  engines: (given.bench ?? 'chromium,firefox').split(',').map(name => `${name}-gpu`),
  files: { '/kernels/': here, '/glue/': given.glue },
});
const counts = { passed: 0, failed: 0 };

async function test(engine, name, run) {
  const started = Date.now();
  let why;
  try {
    why = await run();
  } catch (error) {
    why = error.message;
  }
  counts[why ? 'failed' : 'passed'] += 1;
  const title = `${engine.name}: ${name}`;
  console.log(why ? `FAIL ${title}: ${why}` : `ok ${title} (${Date.now() - started} ms)`);
}

async function check(engine, at) {
  for (const tiles of CUTS) {
    await test(engine, `kernels cut as ${tiles}`, async () => {
      const { about, cases, wrong } = await engine.call(PAGE, 'check', tiles, 1 + at, ROUNDS);
      if (wrong.length) return `${about}: ${wrong.length} of ${cases} cases: ${wrong.join('; ')}`;
      return cases >= 9 * ROUNDS ? undefined : `only ${cases} cases`;
    });
  }
  await test(engine, 'a lost device says so', async () => {
    const end = await engine.call(PAGE, 'lose');
    return end.includes('was lost') ? undefined : `it says ${end}`;
  });
}

try {
  if (given.bench) {
    const all = {};
    for (const engine of rig.engines) {
      engine.limit = 600_000;
      all[engine.name] = await engine.call(PAGE, 'figures', given.tiles, 1);
    }
    console.log(JSON.stringify(all));
    counts.passed = 1;
  } else {
    console.log(rig.engines.map(({ name, version }) => `${name} ${version}`).join(', '));
    await Promise.all(rig.engines.map(check));
    console.log(`${counts.passed} passed, ${counts.failed} failed, 0 skipped`);
  }
} finally {
  await rig.stop();
}
process.exit(counts.failed || !counts.passed ? 1 : 0);
