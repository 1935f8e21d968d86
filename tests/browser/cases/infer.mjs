// Runtime `infer` in the extension, from the relay's lease to the receipt.
import assert from 'node:assert/strict';
import { shares } from '../lib/browser.mjs';
import { natively, realModel, tinyModels } from '../lib/tiny.mjs';
import { until } from '../lib/wait.mjs';

export const EMBED = { texts: ['a text of letters', 'another one'] };
/** As the native runs have it. */
export const SEED = { seed: '07'.repeat(32) };
const GENERATE = { prompt: 'abc', max_tokens: 40 };

/** A relay with models that believes the one node, which is a real browser. */
export async function network(t, files, settings = {}, start = () => t.browser()) {
  const [relay, browser] = await Promise.all([
    t.relay({ models: files, believing: true }), start(),
  ]);
  await browser.switchOn(relay.url, settings);
  return { relay, owner: relay.owner(), browser };
}

/** What the node gave is what the same task gives natively. */
export async function same(owner, id, expected) {
  const [result] = await owner.results(id, 120_000);
  assert.equal(result.reason, 'exit');
  const { output, check, fuel } = result;
  assert.deepEqual({ output, check, fuel }, {
    output: expected.output, check: expected.check, fuel: expected.fuel,
  });
  return result;
}

export const run = async (owner, file, work, request) => {
  const expected = natively(file, work, request);
  const { id } = await owner.infer(expected.model, work, [request], SEED);
  return same(owner, id, expected);
};

/** Both kinds of work, and what is kept of the models. */
export async function everything(t, start) {
  const { llama, bert } = tinyModels();
  const { owner, browser } = await network(t, [llama, bert], {}, start);
  await run(owner, bert, 'embed', EMBED);
  await run(owner, llama, 'generate', GENERATE);
  await run(owner, llama, 'generate', { ...GENERATE, temperature: 800 });
  const { models } = await browser.view();
  assert.deepEqual(models.map(model => model.name).sort(), ['tiny bert', 'tiny llama']);
  const options = await browser.options();
  await until('the settings offer it', () => options.evaluate(() => !document.querySelector('#empty').disabled));
  await options.click('#empty');
  await until('they are gone', async () => !(await browser.view()).models.length);
  await run(owner, bert, 'embed', EMBED);
  await until('one is kept again', async () => (await browser.view()).models.length === 1);
}

export default {
  async 'Chromium embeds and generates, bit for bit as natively, and keeps the models'(t) {
    await everything(t, () => t.browser());
  },

  async 'Firefox does, too'(t) {
    await everything(t, () => t.firefox());
  },

  async 'Firefox keeps its run while AI pauses for its owner'(t) {
    const { llama } = tinyModels();
    const { owner, browser } = await network(t, [llama], { share: 10 }, () => t.firefox());
    const request = { prompt: 'abc', max_tokens: 600 };
    const expected = natively(llama, 'generate', request);
    const { id } = await owner.infer(expected.model, 'generate', [request], SEED);
    await until('it generates', async () => (await browser.view()).running[0]?.pieces > 3);
    await browser.change(shares(100));
    await same(owner, id, expected);
    await browser.click('#switch');
    await until('it is off', async () => (await browser.view()).state === 'off');
  },

  async 'switched off, AI is left to others; without room, too'(t) {
    const { bert } = tinyModels();
    const { owner, relay, browser } = await network(t, [bert]);
    const page = await browser.options();
    await page.locator('#inference').uncheck();
    await until('it is off', async () => !(await browser.view()).settings.inference);
    const expected = natively(bert, 'embed', EMBED);
    const { id } = await owner.infer(expected.model, 'embed', [EMBED], SEED);
    assert.equal((await relay.network()).tasks_waiting, 1);
    await page.locator('#models_mib').fill('0');
    await page.locator('#models_mib').blur();
    await page.locator('#inference').check();
    await until('the lease is given back', async () => await relay.metric('leases_over', 'unable') > 0);
    assert.equal((await owner.job(id)).state, 'running');
    await page.locator('#models_mib').fill('1');
    await page.locator('#models_mib').blur();
    await same(owner, id, expected);
  },

  async 'a generation pauses when its owner says so, and goes on'(t) {
    const { llama } = tinyModels();
    const { owner, browser } = await network(t, [llama], { share: 10 });
    const request = { prompt: 'abc', max_tokens: 600 };
    const expected = natively(llama, 'generate', request);
    const { id } = await owner.infer(expected.model, 'generate', [request], SEED);
    const pieces = async () => (await browser.view()).running[0]?.pieces ?? 0;
    await until('it generates', async () => await pieces() > 3);
    await browser.stopWorker();
    await browser.closePopup();
    await until('the node is back, with the same run', async () => await pieces() > 3);
    await browser.change(shares(100));
    await same(owner, id, expected);
  },

  async 'a real model answers as natively'(t) {
    const file = realModel('minilm-l6');
    assert.ok(file, 'the models are there: cargo xtask models');
    const { owner, browser } = await network(t, [file]);
    const started = Date.now();
    await run(owner, file, 'embed', { texts: ['A man is eating food.', 'Un café, s\'il vous plaît.'] });
    const [{ bytes }] = (await browser.view()).models;
    console.log(`  ${(bytes / 1e6).toFixed(1)} MB fetched, checked, loaded and run in ${Date.now() - started} ms`);
  },
};
