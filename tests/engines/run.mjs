// Runs the three-engine tests: `node run.mjs [--only tasks|spec|smith]...`.
// Chromium and Firefox must give what wasmtime gives, bit by bit.
import { Maker } from './lib/cases.mjs';
import { options } from './lib/options.mjs';
import * as parts from './lib/parts.mjs';
import { Rig } from './lib/rig.mjs';

/** Random modules unless `--modules` says how many. */
const MODULES = 3_000;

const given = options();
const where = { ...given, from: given.from ?? 0, modules: given.modules ?? MODULES };
const counts = { passed: 0, failed: 0 };
const maker = new Maker(given.cases, given.folder);
const rig = await Rig.start({ engines: parts.ENGINES, files: { '/extension/': given.extension } });
console.log(rig.engines.map(({ name, version }) => `${name} ${version}`).join(', '));
for (const name of ['tasks', 'spec', 'smith']) {
  if (given.only.length && !given.only.includes(name)) continue;
  const started = Date.now();
  try {
    const { tests, failed, lines } = await parts[name](rig, maker, where);
    for (const [test, words] of failed) console.log(`FAIL ${name}: ${test}: ${words.join('; ')}`);
    for (const line of lines) console.log(`${name}: ${line}`);
    console.log(`${name}: ${tests - failed.size} of ${tests} (${Date.now() - started} ms)`);
    counts.passed += tests - failed.size;
    counts.failed += failed.size;
  } catch (error) {
    console.log(`FAIL ${name}: ${error.message}`);
    counts.failed += 1;
  }
}
await rig.stop();
console.log(`${counts.passed} passed, ${counts.failed} failed, 0 skipped`);
process.exit(counts.failed || !counts.passed ? 1 : 0);
