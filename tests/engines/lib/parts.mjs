// The three comparisons. Each has cases made with what wasmtime gives, runs
// them in every browser of the rig, and returns `{ names, failed, lines }`: the
// tests, which of them failed and how, and what to tell of all of them.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { manifest } from './tasks.mjs';

/** Fuel granted at a time: no result may depend on it, so each browser has its own. */
const SLICES = { chromium: 10_000, firefox: 777, 'chromium-optimised': 100, 'firefox-optimised': 1_000_000 };
/** The browsers of a rig for all comparisons. */
export const ENGINES = Object.keys(SLICES);
/** A task that has not ended by then hangs; milliseconds. */
const TASK = 60_000;
/** Random modules in a pack. */
const PACK = 500;

let count = 0;

/** Runs a pack in all browsers at once; differences by test, and comparisons by browser. */
export async function compare(rig, pack, module, name, argument) {
  count += 1;
  const url = `/pack-${count}`;
  rig.serve(url, pack.bytes());
  try {
    const failed = new Map();
    const compared = {};
    await Promise.all(rig.engines.map(async engine => {
      const result = await engine.call(module, name, url, argument(engine));
      compared[engine.name] = result.compared;
      for (const [test, times] of Object.entries(result.failed)) {
        const first = result.differences.find(difference => difference.name === test);
        const what = first ? `; first ${first.at}: wasmtime ${JSON.stringify(first.expect)}, here ${JSON.stringify(first.got)}` : '';
        failed.set(test, [...(failed.get(test) ?? []), `${times} differences in ${engine.name}${what}`]);
      }
    }));
    return { failed, compared };
  } finally {
    rig.drop(url);
  }
}

export const compareScripts = (rig, pack) => (
  compare(rig, pack, '/rig/scripts.mjs', 'runScripts', ({ name }) => SLICES[name]));

const comparisons = compared => (
  Object.entries(compared).map(([engine, times]) => `${times} in ${engine}`).join(', '));

/** Whole tasks, run by the executor as nodes run it. */
export async function tasks(rig, maker, where) {
  const path = join(maker.folder, 'tasks.json');
  writeFileSync(path, JSON.stringify(manifest({ folder: maker.folder, ...where })));
  const pack = await maker.make('tasks', [path]);
  const { failed, compared } = await compare(rig, pack, '/rig/tasks.mjs', 'runTasks', () => TASK);
  const lines = [`tasks equal to wasmtime's by reason, exit code, output and fuel: ${comparisons(compared)}`];
  return { tests: pack.cases, failed, lines };
}

/** The WebAssembly core tests. */
export async function spec(rig, maker, { spec: folder }) {
  const files = readdirSync(folder).filter(name => name.endsWith('.wast')).map(name => join(folder, name));
  if (!files.length) throw new Error(`${folder} has no core tests`);
  const pack = await maker.make('spec', files);
  const { failed, compared } = await compareScripts(rig, pack);
  const lines = [
    `assertions that hold in wasmtime: ${pack.held}, and ${pack.refused} that admission refuses a module`,
    `calls, instances and memories with wasmtime's bits, end and fuel: ${comparisons(compared)}`,
  ];
  for (const [file, reasons] of Object.entries(pack.not_run)) {
    for (const [reason, times] of Object.entries(reasons)) {
      lines.push(`not run: ${times} of ${file}, about modules that admission refuses: ${reason}`);
    }
  }
  return { tests: pack.cases, failed, lines };
}

/** Random modules by number, pack after pack; the next is made meanwhile. */
export async function* smithPacks(rig, maker, { from, modules }) {
  const make = start => {
    const size = Math.min(PACK, from + modules - start);
    return size > 0 ? maker.make('smith', ['--from', start, '--count', size].map(String)) : undefined;
  };
  let coming = make(from);
  for (let start = from; coming; start += PACK) {
    const pack = await coming;
    coming = make(start + PACK);
    coming?.catch(() => {});
    yield { ...pack, ...await compareScripts(rig, pack), next: Math.min(start + PACK, from + modules) };
  }
}

export async function smith(rig, maker, where) {
  const failed = new Map();
  const [ends, total] = [{}, {}];
  let tests = 0;
  for await (const pack of smithPacks(rig, maker, where)) {
    tests += pack.cases;
    for (const [number, words] of pack.failed) failed.set(`module ${number}`, words);
    for (const [engine, times] of Object.entries(pack.compared)) total[engine] = (total[engine] ?? 0) + times;
    for (const [end, times] of Object.entries(pack.ends)) ends[end] = (ends[end] ?? 0) + times;
  }
  const lines = [
    `calls, instances and memories of random modules with wasmtime's bits, end and fuel: ${comparisons(total)}`,
    `how their calls end: ${Object.entries(ends).map(([end, times]) => `${end} ${times}`).join(', ')}`,
  ];
  return { tests, failed, lines };
}
