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

/** An extension whose first worker, and no other, runs this code first. */
export function firstWorker(t, code, of) {
  return overlay(t, {
    of,
    before: {
      'executor-worker.js': `if (self.name === 'frame 1, worker 1') { ${code} }`,
      'sandbox.js': script(() => {
        const Packaged = Worker;
        let count = 0;
        globalThis.Worker = function (url) {
          count += 1;
          return new Packaged(url, { name: `${globalThis.name}, worker ${count}` });
        };
      }),
      'frame.js': script(() => {
        const create = document.createElement.bind(document);
        let count = 0;
        document.createElement = tag => {
          count += 1;
          return Object.assign(create(tag), { name: `frame ${count}` });
        };
      }),
    },
  });
}

/** Ways in which a device, not a module, comes to its limits. */
const DEVICE = {
  'memory that the engine refuses': [() => modules.growBy(100), script(() => {
    WebAssembly.Memory.prototype.grow = () => {
      throw new RangeError('WebAssembly.Memory.grow(): Unable to grow instance memory');
    };
  })],
  'a stack that the engine exhausts': [() => modules.fnv(), script(() => {
    // Only the task reads; the worker's rehearsal does not.
    const { Instance, Module, promising } = WebAssembly;
    let reads = false;
    WebAssembly.Instance = new Proxy(Instance, {
      construct: (_, given) => {
        reads ||= Module.imports(given[0]).some(({ name }) => name === 'fd_read');
        return new Instance(...given);
      },
    });
    WebAssembly.promising = run => (reads ? () => {
      throw new RangeError('Maximum call stack size exceeded');
    } : promising(run));
  })],
  'a module that does not compile': [() => modules.fnv(), script(() => {
    const { Module } = WebAssembly;
    WebAssembly.Module = new Proxy(Module, {
      construct: (_, given) => {
        if (given[0].length > 400) throw new WebAssembly.CompileError('no');
        return new Module(...given);
      },
    });
  })],
};

/** It hangs where a module could only if the engine had a fault: before its
 * fuel is counted. Only the task reads: neither executor nor rehearsal does. */
export const HANG = script(() => {
  const { Instance, Module } = WebAssembly;
  const reads = module => Module.imports(module).some(({ name }) => name === 'fd_read');
  WebAssembly.Instance = new Proxy(Instance, {
    construct: (_, given) => {
      while (reads(given[0]));
      return new Instance(...given);
    },
  });
});

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

  async 'a limit of the device is no answer: the lease goes back'(t) {
    for (const [name, [make, code]] of Object.entries(DEVICE)) {
      const { relay, owner, browser } = await t.network({ extension: firstWorker(t, code) });
      const module = make();
      const result = await owner.run(module, { stdin: 'x' });
      const expected = await native(t.options.gridBin, module, 'x');
      assert.equal(result.reason, 'exit', name);
      assert.equal(result.fuel, expected.fuel, name);
      assert.equal(result.output, expected.output, name);
      assert.equal(await relay.metric('leases_granted'), 2, name);
      assert.equal(await relay.metric('leases_over', 'device'), 1, name);
      await browser.stop();
    }
  },

  async 'a worker that hangs is terminated and the task goes to another'(t) {
    const { relay, owner } = await t.network({ extension: firstWorker(t, HANG) });
    const result = await owner.run(modules.fnv(), { stdin: 'again' }, {}, 90_000);
    assert.deepEqual(result.files, { stdout: modules.fnvOf(Buffer.from('again')) });
    assert.equal(await relay.metric('leases_over', 'device'), 1, await relay.lines('leases'));
  },
};
