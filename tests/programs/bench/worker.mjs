// In a worker: runs a program raw and admitted, in turns, once both are as fast
// as the engine makes them.
import { Run } from './wasi.mjs';

/** Warming up takes at least so many pairs of runs and so many milliseconds. */
const LEAST_PAIRS = 4;
const LEAST_TIME = 3000;
/** ... and at most this many pairs. */
const MOST_PAIRS = 40;
/** A run is faster than those before if it takes less than this part. */
const FASTER = 0.97;
/** Measured again when the second half is that much faster than the first. */
const TIER_CHANGED = 0.93;
const ATTEMPTS = 4;

async function compile(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return WebAssembly.compile(await response.arrayBuffer());
}

async function pair(modules, { name, args, stdout }) {
  const times = [];
  for (const module of modules) {
    const run = await new Run(name, args).start(module);
    if (run.stdout !== stdout) throw new Error(`${name} gave ${JSON.stringify(run.stdout)}`);
    times.push(run.ms);
  }
  return times;
}

/** Runs until neither module got faster in three pairs: the optimising compiler is done. */
async function warmUp(modules, program) {
  const best = modules.map(() => Infinity);
  const begin = performance.now();
  let same = 0;
  for (let count = 1; count <= MOST_PAIRS; count += 1) {
    const times = await pair(modules, program);
    same = times.some((time, index) => time < best[index] * FASTER) ? 0 : same + 1;
    times.forEach((time, index) => { best[index] = Math.min(best[index], time); });
    const enough = count >= LEAST_PAIRS && performance.now() - begin >= LEAST_TIME;
    if (enough && same >= 3) return;
  }
}

/** Whether code was replaced while it was measured. */
function tierChanged(times) {
  const half = times.length >> 1;
  return Math.min(...times.slice(half)) < Math.min(...times.slice(0, half)) * TIER_CHANGED;
}

async function measure(program) {
  const { name, pairs } = program;
  const modules = await Promise.all([compile(`/modules/${name}.wasm`), compile(`/modules/admitted/${name}.wasm`)]);
  let raw, admitted;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    await warmUp(modules, program);
    [raw, admitted] = [[], []];
    for (let count = 0; count < pairs; count += 1) {
      const [first, second] = await pair(modules, program);
      raw.push(first);
      admitted.push(second);
    }
    if (!tierChanged(raw) && !tierChanged(admitted)) break;
  }
  return { raw, admitted };
}

onmessage = async ({ data }) => {
  try {
    postMessage({ times: await measure(data) });
  } catch (error) {
    postMessage({ error: `${error}\n${error?.stack ?? ''}` });
  }
};
