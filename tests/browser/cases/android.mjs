// The package for Android, in a Chromium whose extensions have no offscreen documents: node,
// supervisor and what infers share the service worker.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { EMBED, everything, network, run, same, SEED } from './infer.mjs';
import { fnv } from '../lib/modules.mjs';
import { overlay, script } from '../lib/overlay.mjs';
import { natively, realModel, tinyModels } from '../lib/tiny.mjs';
import { until } from '../lib/wait.mjs';

/** A page of the extension asks, one question after the other; milliseconds of each answer. */
const asking = (page, many) => page.evaluate(async many => {
  const took = [];
  while (took.length < many) {
    const asked = performance.now();
    await chrome.runtime.sendMessage({ kind: 'status' });
    took.push(performance.now() - asked);
  }
  return took.sort((a, b) => a - b);
}, many);

/** Remembers the memory of each wasm instance, without keeping it alive. */
const MEMORIES = script(() => {
  self.memories = [];
  for (const name of ['instantiate', 'instantiateStreaming']) {
    const make = WebAssembly[name];
    WebAssembly[name] = async (...given) => {
      const made = await make(...given);
      const { memory } = (made.instance ?? made).exports;
      memories.push(new WeakRef(memory));
      return made;
    };
  }
});

/** A relay that gives a silent node less time than the work takes. */
const HASTY = ['--heartbeat', '1s', '--ping', '1s', '--silence', '8s', '--lease-deadline', '8s', '--grace', '1s'];

const android = t => join(t.options.dist, 'android');
const start = (t, more = {}, flags = []) => t.browser(overlay(t, { of: android(t), ...more }), flags);

export default {
  async 'it embeds and generates in the service worker, bit for bit as natively, and keeps the models'(t) {
    await everything(t, async () => {
      const browser = await t.browser(android(t));
      const has = await browser.worker.evaluate(() => ({
        offscreen: 'offscreen' in chrome, workers: 'Worker' in self,
      }));
      assert.deepEqual(has, { offscreen: false, workers: false });
      return browser;
    });
  },

  async 'it says that it runs no modules, and gets none'(t) {
    const { bert } = tinyModels();
    const { relay, owner, browser } = await network(t, [bert], {}, () => t.browser(android(t)));
    await browser.joined();
    const { id } = await owner.submit(fnv(), [{}]);
    // A task that it can do comes and goes; the other waits.
    await run(owner, bert, 'embed', EMBED);
    assert.equal((await owner.job(id)).state, 'running');
    assert.equal(await relay.metric('leases_granted'), 1);
  },

  async 'its settings say that it doesn\'t hear of the power supply'(t) {
    const browser = await t.browser(android(t));
    const options = await browser.options();
    assert.equal(await options.locator('#mains').isDisabled(), true);
    assert.match(await options.locator('#mains_hint').textContent(), /^Not available/);
  },

  async 'a model that is kept is not fetched again'(t) {
    const { bert } = tinyModels();
    const { owner, browser } = await network(t, [bert], {}, () => start(t, {
      before: {
        'service-worker.js': script(() => {
          self.fetched = 0;
          const plain = fetch;
          self.fetch = (address, ...more) => {
            if (String(address).includes('/v1/models/')) self.fetched += 1;
            return plain(address, ...more);
          };
        }),
      },
    }));
    await run(owner, bert, 'embed', EMBED);
    const fetched = await browser.worker.evaluate(() => self.fetched);
    assert.ok(fetched >= 2, `a header and blocks: ${fetched}`);
    await browser.click('#switch');
    await until('it is off', async () => (await browser.view()).state === 'off');
    await browser.click('#switch');
    await run(owner, bert, 'embed', EMBED);
    assert.equal(await browser.worker.evaluate(() => self.fetched), fetched);
  },

  async 'while a real model works it answers at once, and no socket is lost'(t) {
    const file = realModel('smollm2-135m');
    assert.ok(file, 'the models are there: cargo xtask models');
    const prompt = 'The sea is wide, and the ships that cross it are small. '.repeat(4);
    const request = { prompt, max_tokens: 100 };
    // First: nothing here goes on meanwhile, the relay's proxy neither.
    const expected = natively(file, 'generate', request);
    const [relay, browser] = await Promise.all([
      t.relay({ models: [file], believing: true, counted: true, args: HASTY }), t.browser(android(t)),
    ]);
    await browser.switchOn(relay.url);
    const owner = relay.owner();
    const begun = Date.now();
    const { id } = await owner.infer(expected.model, 'generate', [request], SEED);
    await until('it loads', async () => (await browser.view()).running.length > 0, 60_000);
    const took = [];
    while ((await owner.job(id)).state === 'running') took.push(...await asking(browser.page, 10));
    await same(owner, id, expected);
    took.sort((a, b) => a - b);
    const at = part => took[Math.floor(part * (took.length - 1))];
    console.log(`  ${took.length} answers in ${Date.now() - begun} ms of work: median ${at(0.5).toFixed(1)}, ` +
      `p95 ${at(0.95).toFixed(1)}, longest ${at(1).toFixed(1)} ms`);
    assert.ok(took.length >= 20, 'it was asked while it worked');
    assert.ok(at(0.5) < 100, `the median answer took ${at(0.5)} ms`);
    assert.equal(relay.sockets, 1, 'one socket all the time');
    assert.equal(await relay.metric('leases_granted'), 1);
  },

  async 'switched off in the middle, it gives the lease back, and its memory is free'(t) {
    const file = realModel('smollm2-135m');
    assert.ok(file, 'the models are there: cargo xtask models');
    const { model } = natively(file, 'generate', { prompt: 'a', max_tokens: 1 });
    const { relay, owner, browser } = await network(t, [file], {}, () => start(
      t, { before: { 'service-worker.js': MEMORIES } }, ['--js-flags=--expose-gc']));
    const { id } = await owner.infer(model, 'generate', [{ prompt: 'Once', max_tokens: 600 }], SEED);
    await until('it generates', async () => (await browser.view()).running[0]?.pieces > 3, 60_000);
    assert.equal(await browser.worker.evaluate(() => memories.length), 2, 'the node\'s, and what infers');
    // Slow, lest it be free because the run is over.
    const slow = { cpu: 2, gpu: 2 };
    await browser.change({ idle: slow, in_use: slow });
    await browser.click('#switch');
    await until('the lease is given back', async () => (await relay.network()).tasks_waiting === 1);
    await until('the memory of what infers is free', () => browser.worker.evaluate(() => {
      gc();
      return memories[0].deref() !== undefined && memories[1].deref() === undefined;
    }), 60_000, 200);
    // And it can work again.
    const whole = { cpu: 100, gpu: 100 };
    await browser.change({ idle: whole, in_use: whole });
    await browser.click('#switch');
    await until('it generates again', async () => (await browser.view()).running[0]?.pieces > 3, 60_000);
    await owner.cancel(id);
  },
};
