// How the relay's pages look and weigh: axe, sizes, first paint, screenshots.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { altered, choose, flip, goto, pageIn, proof, says, verdict, worked } from '../lib/pages.mjs';
import { until } from '../lib/wait.mjs';

/** What every page but checking needs, compressed; and the checker beside it. */
const MOST_BYTES = 200_000;
const CHECKER_BYTES = 160_000;
const CHECKER = ['worker.js', 'grid_checker.js', 'grid_checker_bg.wasm'];
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Bytes of a file as a browser gets it. */
const compressed = (relay, path) => new Promise((done, fail) => {
  get(`${relay.url}/${path}`, { headers: { 'accept-encoding': 'br' } }, answer => {
    answer.resume();
    if (answer.headers['content-encoding'] === 'br') done(Number(answer.headers['content-length']));
    else fail(new Error(`${path}: ${answer.statusCode}, not compressed`));
  }).on('error', fail);
});

const tests = {};

tests['every page is small, and axe finds nothing'] = async t => {
  const { relay, owner, job } = await worked(t);
  const file = proof(t, { relay, owner, job });
  const { nodes: [{ node }] } = await (await fetch(`${relay.url}/v1/points`)).json();
  const page = await pageIn(t, 'chromium');
  const sizes = new Map();
  const session = await page.createCDPSession();
  await session.send('Network.enable');
  const named = new Map();
  session.on('Network.responseReceived', ({ requestId, response }) => named.set(requestId, response.url));
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const path = new URL(named.get(requestId)).pathname;
    if (!/^\/(v1|log)\//.test(path)) sizes.set(path, Math.max(sizes.get(path) ?? 0, encodedDataLength));
  });
  const shots = process.env.GRID_SHOTS;
  const places = {
    overview: ['', async () => says(page, '.stream', 'Live')],
    leaderboard: ['#/leaders', async () => page.waitForSelector('tbody tr')],
    node: [`#/node/${node}`, async () => page.waitForSelector('.figures')],
    check: ['#/check', async () => { await page.waitForSelector('#file'); await choose(page, file); await verdict(page, true); }],
    refused: ['#/check', async () => {
      await page.waitForSelector('#file');
      await choose(page, altered(file, 'altered', content => { content.votes[0].leaf = flip(content.votes[0].leaf); }));
      await verdict(page, false);
    }],
    recompute: ['#/audit', async () => { await page.waitForSelector('button.main'); await page.click('button.main'); await page.waitForSelector('.verdict'); }],
    job: [`#/job/${job}`, async () => {
      await page.waitForSelector('#owner');
      await page.type('#owner', owner.key);
      await page.click('button[type=submit]');
      await page.waitForSelector('#results');
    }],
  };
  const sizesOf = { desktop: { width: 1200, height: 800 }, phone: { width: 390, height: 844, isMobile: true } };
  for (const [name, [fragment, ready]] of Object.entries(places)) {
    for (const [device, viewport] of Object.entries(sizesOf)) {
      await page.setViewport(viewport);
      await page.goto('about:blank');
      await goto(page, relay, fragment);
      await ready();
      if (name === 'overview') await page.waitForSelector('grid-chart canvas');
      for (const scheme of ['light', 'dark']) {
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
        const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
        assert.deepEqual(found, [], `${name}, ${device}, ${scheme}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${name} is ${wide} px too wide on the ${device}`);
        if (shots) {
          mkdirSync(shots, { recursive: true });
          await page.screenshot({ path: join(shots, `${name}-${device}-${scheme}.png`), fullPage: true });
        }
      }
    }
  }
  assert.deepEqual(page.complaints, []);
  const list = [...sizes].map(([path, size]) => `${path} ${size}`).join(', ');
  const sum = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  assert.ok(sum < MOST_BYTES, `${sum} bytes: ${list}`);
  assert.ok(sum > 10_000 && sizes.size >= 6, list);
  // What the worker fetches is told to another session.
  const checker = await Promise.all(CHECKER.map(path => compressed(relay, path)));
  assert.ok(checker.reduce((sum, size) => sum + size) < CHECKER_BYTES, `${CHECKER}: ${checker}`);
  if (process.env.GRID_SIZES) console.log(list);
};

tests['every place is reached by keyboard'] = async t => {
  const relay = await t.relay();
  const page = await pageIn(t, 'chromium');
  await goto(page, relay, '');
  await says(page, '.stream', 'Live');
  const seen = [];
  for (let at = 0; at < 7; at += 1) {
    await page.keyboard.press('Tab');
    seen.push(await page.evaluate(() => document.activeElement.textContent.trim()));
  }
  assert.deepEqual(seen.slice(0, 6), ['Skip to the page', 'Grid', 'Overview', 'Leaderboard', 'Check a proof', 'Your jobs']);
};

/**
 * Chrome's "Fast 4G" (9 Mbit/s, less a tenth; 60 ms at 2.75) and a processor four times as slow.
 * The bound is for a machine that runs other tests at the same time.
 */
tests['the first content comes soon over 4G'] = async t => {
  const { relay } = await worked(t, { tasks: 8, nodes: 2 });
  const page = await pageIn(t, 'chromium');
  const session = await page.createCDPSession();
  await session.send('Network.enable');
  await session.send('Network.emulateNetworkConditions', {
    offline: false, latency: 165, downloadThroughput: 8.1e6 / 8, uploadThroughput: 1.35e6 / 8,
  });
  await session.send('Emulation.setCPUThrottlingRate', { rate: 4 });
  await goto(page, relay, '');
  const first = await until('something is painted', () => page.evaluate(() => (
    performance.getEntriesByName('first-contentful-paint')[0]?.startTime)));
  await says(page, '.stream', 'Live', 60_000);
  const live = await page.evaluate(() => performance.now());
  if (process.env.GRID_SIZES) console.log(`first content ${first.toFixed(0)} ms, live by ${live.toFixed(0)} ms`);
  assert.ok(first > 165, `not throttled: ${first} ms`);
  assert.ok(first < 3_000, `${first} ms`);
};

export default tests;
