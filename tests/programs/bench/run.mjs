// Runs the programs raw and admitted in real browsers, one browser at a time:
//
//   node tests/programs/bench/run.mjs MODULES PAIRS ENGINES [NAME...]
//
// MODULES is the folder of the modules, with what was admitted in `admitted`;
// ENGINES is `chromium`, `firefox` or both with a comma. The last line printed
// is a JSON object: times in milliseconds by engine and program.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Rig } from '../../engines/lib/rig.mjs';

/** Milliseconds for one program, warming up included. */
const LIMIT = 300_000;

const folder = fileURLToPath(new URL('.', import.meta.url));
const [modules, pairs, engines, ...only] = process.argv.slice(2);
const list = JSON.parse(readFileSync(join(folder, '../programs.json'), 'utf8')).programs;
const programs = list.filter(({ name }) => only.length === 0 || only.includes(name));
const files = { '/bench/': folder, '/modules/': `${resolve(modules)}/` };

const all = {};
for (const wanted of engines.split(',')) {
  const rig = await Rig.start({ files, engines: [wanted] });
  try {
    const [engine] = rig.engines;
    engine.limit = LIMIT;
    const times = {};
    for (const { name, bench } of programs) {
      console.log(`${wanted}: ${name}`);
      const program = { name, ...bench, pairs: Number(pairs) };
      times[name] = await engine.call('/bench/page.mjs', 'measure', program);
    }
    all[wanted] = { version: engine.version, times };
  } finally {
    await rig.stop();
  }
}
console.log(JSON.stringify(all));
