// Compares random modules by the million: `node soak.mjs --modules N`. Goes on
// where the last run stopped; ends at the first module that differs.
import { readFileSync, writeFileSync } from 'node:fs';
import { Maker } from './lib/cases.mjs';
import { options } from './lib/options.mjs';
import { ENGINES, smithPacks } from './lib/parts.mjs';
import { Rig } from './lib/rig.mjs';

/** Browsers are started anew after so many modules. */
const STRETCH = 50_000;
/** Between two lines of progress, in milliseconds. */
const EVERY = 15_000;

const given = options();
const start = given.from ?? 0;
const end = start + (given.modules ?? 1_000_000);
const noted = readState();
const state = noted ?? { admission: undefined, next: start, modules: 0, compared: 0 };

/** How far the last run was; nothing when this one has a first number of its own. */
function readState() {
  if (given.from !== undefined) return undefined;
  try {
    return JSON.parse(readFileSync(given.state, 'utf8'));
  } catch {
    return undefined;
  }
}

function writeState() {
  if (given.from === undefined) writeFileSync(given.state, `${JSON.stringify(state)}\n`);
}

function tell(failed) {
  for (const [number, words] of failed) {
    console.log(`FAIL module ${number}: ${words.join('; ')}`);
    console.log(`  again: cargo xtask soak sandbox --from ${number} --modules 1`);
    console.log(`  as files: cargo run -p grid-engine --example engine-cases -- smith --from ${number} --show`);
  }
}

async function stretch(maker, from, modules) {
  const rig = await Rig.start({ engines: ENGINES });
  try {
    let told = Date.now();
    for await (const pack of smithPacks(rig, maker, { from, modules })) {
      if (state.admission !== undefined && state.admission !== pack.admission) {
        Object.assign(state, { admission: pack.admission, next: start, modules: 0, compared: 0 });
        console.log(`admission is version ${pack.admission} now: from the first module again`);
        return true;
      }
      if (pack.failed.size) {
        tell(pack.failed);
        return false;
      }
      state.admission = pack.admission;
      state.next = pack.next;
      state.modules += pack.cases;
      state.compared += Object.values(pack.compared).reduce((sum, times) => sum + times, 0);
      writeState();
      if (Date.now() - told < EVERY) continue;
      told = Date.now();
      const speed = (state.next - began.next) / ((told - began.time) / 1_000);
      const left = Math.round((end - state.next) / speed / 60);
      console.log(`${state.next} of ${end}: ${speed.toFixed(0)} a second, ${left} min left`);
    }
    return true;
  } finally {
    await rig.stop();
  }
}

if (state.next > start) console.log(`goes on at ${state.next}`);
const began = { next: state.next, time: Date.now() };
const maker = new Maker(given.cases, given.folder);
let same = true;
while (same && state.next < end) {
  same = await stretch(maker, state.next, Math.min(STRETCH, end - state.next));
}
console.log(`${state.modules} modules, ${state.compared} comparisons, ${same ? 'all equal' : 'up to one that differs'}`);
process.exit(same ? 0 : 1);
