// Hostile modules end with the signed reason and fuel that they have natively;
// the browser stays usable and the next task doesn't notice.
import assert from 'node:assert/strict';
import * as modules from '../lib/modules.mjs';
import { native } from '../lib/native.mjs';
import { overlay, script } from '../lib/overlay.mjs';

const FUEL = 400_000_000;
const LIMITS = { fuel: FUEL, memory_pages: 1024, output_bytes: 1_000_000 };
const NATIVE = ['--fuel', String(FUEL), '--memory', '64', '--output-limit', '1000000'];

const CASES = {
  'an endless loop': [modules.endless, 'out_of_fuel'],
  'memory growth without end': [modules.grow, 'out_of_fuel'],
  'deep recursion': [() => modules.recursion(1), 'stack'],
  'deep recursion of large frames': [() => modules.recursion(5_000), 'stack'],
  'deep recursion under operands': [() => modules.tallStack(900), 'stack'],
  'a flood of output': [modules.flood, 'output_limit'],
  'unreachable': [modules.trap, 'trap'],
  'a load out of bounds': [modules.outOfBounds, 'trap'],
  'division by zero': [modules.divide, 'trap'],
};

export default {
  async 'each ends as natively, the next task is right, the popup answers'(t) {
    const { owner, browser } = await t.network();
    await browser.joined();
    for (const [name, [make, reason]] of Object.entries(CASES)) {
      const module = make();
      let slowest = 0;
      let running = true;
      const watch = (async () => {
        while (running) {
          const asked = performance.now();
          await browser.view();
          slowest = Math.max(slowest, performance.now() - asked);
        }
      })();
      const [result, expected] = await Promise.all([
        owner.run(module, {}, LIMITS),
        native(t.options.gridBin, module, '', NATIVE),
      ]);
      running = false;
      await watch;
      assert.equal(result.reason, reason, name);
      assert.equal(expected.reason, reason, `${name}, natively`);
      assert.equal(result.fuel, expected.fuel, `fuel of ${name}`);
      assert.equal(result.output, expected.output, `output of ${name}`);
      assert.ok(slowest < 1_500, `the popup waited ${slowest} ms during ${name}`);
      const next = await owner.run(modules.fnv(), { stdin: name });
      assert.deepEqual(next.files, { stdout: modules.fnvOf(Buffer.from(name)) }, `after ${name}`);
    }
  },

  async 'a worker that hangs is terminated and the task goes to another'(t) {
    // The first worker hangs where a module could only if the engine had a
    // fault: before its fuel is counted.
    const extension = overlay(t, {
      before: {
        'executor-worker.js': script(() => {
          const { Instance } = WebAssembly;
          let own = true;
          WebAssembly.Instance = function (...given) {
            while (!own && self.name === 'frame 1, worker 1');
            own = false;
            return new Instance(...given);
          };
          WebAssembly.Instance.prototype = Instance.prototype;
        }),
        'sandbox.js': script(() => {
          const Packaged = Worker;
          let count = 0;
          globalThis.Worker = function (url) {
            count += 1;
            return new Packaged(url, { name: `${globalThis.name}, worker ${count}` });
          };
        }),
        'offscreen.js': script(() => {
          const create = document.createElement.bind(document);
          let count = 0;
          document.createElement = tag => {
            count += 1;
            return Object.assign(create(tag), { name: `frame ${count}` });
          };
        }),
      },
    });
    const { owner } = await t.network({ extension });
    const result = await owner.run(modules.fnv(), { stdin: 'again' }, {}, 90_000);
    assert.deepEqual(result.files, { stdout: modules.fnvOf(Buffer.from('again')) });
  },
};
