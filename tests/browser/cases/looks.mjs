// How the relay's pages look and weigh: axe, screenshots (docs/screenshots; GRID_SHOTS=1 makes them
// anew), sizes, first paint.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { altered, choose, flip, goto, inBetween, pageIn, proof, says, verdict, worked } from '../lib/pages.mjs';
import { account, frame, fresh, hosted, lend, page as pageOf, question, ready, state, switchOn, tap, view } from '../lib/lend.mjs';
import { fnv } from '../lib/modules.mjs';
import { until } from '../lib/wait.mjs';
import { operatorKey } from './operate.mjs';
import { ANSWERS, PLACES } from './people.mjs';

/** What every page but checking needs, compressed; and the checker beside it. */
const MOST_BYTES = 200_000;
const CHECKER_BYTES = 190_000;
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

const DEVICES = {
  desktop: { width: 1200, height: 800 },
  phone: { width: 390, height: 844, isMobile: true },
};
const SHOTS = fileURLToPath(new URL('../../../docs/screenshots', import.meta.url));
/** Share of a picture's blocks that may differ: keys, times and figures do. */
const TOLERATED = 0.15;

/** Share of blocks of 16 by 16 pixels whose colours differ visibly. */
const difference = (page, ...shots) => page.evaluate(async shots => {
  const [one, other] = await Promise.all(shots.map(async shot => {
    const image = await createImageBitmap(await (await fetch(`data:image/webp;base64,${shot}`)).blob());
    const canvas = new OffscreenCanvas(Math.ceil(image.width / 16), Math.ceil(image.height / 16));
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.imageSmoothingQuality = 'high';
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  }));
  if (one.length !== other.length) return 1;
  let differ = 0;
  for (let at = 0; at < one.length; at += 4) {
    if ([0, 1, 2].some(channel => Math.abs(one[at + channel] - other[at + channel]) > 24)) differ += 1;
  }
  return differ / (one.length / 4);
}, shots.map(shot => Buffer.from(shot).toString('base64')));

const tests = {};

/** Pages in groups, so that no test takes long: each gives its places, `[fragment, ready]` by name; whole addresses, where it gives no relay. */
const GROUPS = {
  async 'the network'(t) {
    const { relay } = await worked(t);
    const { nodes: [{ node }] } = await (await fetch(`${relay.url}/v1/points`)).json();
    return [relay, {
      overview: ['', async page => { await says(page, '.stream', 'Live', 30_000); await page.waitForSelector('.network .dot'); }],
      leaderboard: ['#/leaders', page => page.waitForSelector('tbody tr')],
      node: [`#/node/${node}`, page => page.waitForSelector('.figures')],
      missing: ['#/nowhere', page => says(page, 'h1', 'no such page', 30_000)],
    }];
  },
  async 'what is checked'(t) {
    const network = await worked(t);
    const file = proof(t, network);
    const change = content => { content.votes[0].leaf = flip(content.votes[0].leaf); };
    const check = (name, ok) => ['#/check', async page => {
      await says(page, '[role=status]', 'Ready', 60_000);
      await choose(page, name);
      await verdict(page, ok);
    }];
    return [network.relay, {
      check: check(file, true),
      refused: check(altered(file, 'altered', change), false),
      recompute: ['#/audit', async page => {
        await page.waitForSelector('button.main');
        await page.click('button.main');
        await page.waitForSelector('.verdict', { timeout: 60_000 });
      }],
    }];
  },
  async 'owners and operators'(t) {
    const { relay, owner, job } = await worked(t);
    const key = operatorKey(relay);
    const enter = async (page, selector, text) => {
      await page.waitForSelector(selector);
      await page.type(selector, text);
      await page.click('main form button[type=submit]');
    };
    return [relay, {
      submit: ['#/submit', page => page.waitForSelector('#module')],
      prompt: ['#/submit', async page => {
        await page.waitForSelector('input[value=prompt]');
        await page.click('input[value=prompt] + span');
        await page.waitForSelector('#prompt');
      }],
      jobs: ['#/job', async page => { await enter(page, '#owner', owner.key); await page.waitForSelector('tbody tr'); }],
      job: [`#/job/${job}`, async page => { await enter(page, '#owner', owner.key); await page.waitForSelector('#results'); }],
      login: ['#/operate', page => page.waitForSelector('#operator')],
      operate: ['#/operate', async page => { await enter(page, '#operator', key); await page.waitForSelector('.figures'); }],
    }];
  },
  async 'the node in a tab'(t) {
    const relay = await t.relay({ believing: true });
    return [relay, {
      tab: ['node/', ready],
      'tab-on': ['node/', async page => {
        await ready(page);
        if (!(await view(page)).settings.on) {
          await switchOn(page);
          await relay.owner().run(fnv(4_000), {});
        }
        await until('it has worked', async () => {
          const { why, tasks } = await view(page);
          return why === 'no_work' && tasks > 0;
        }, 40_000);
        await says(page, '#tasks', '1', 30_000);
      }],
    }];
  },
  async 'the widget, and its owner\'s page'(t) {
    const { relay, here } = await hosted(t);
    const { invitation } = account(t, relay)('invite', '--site', 'Harbour weather', '--origin', here);
    const defined = page => page.waitForFunction(() => customElements.get('grid-node'));
    // Whole addresses, of two sites, in a browser whose frames the driver doesn't lose.
    return [undefined, {
      setup: [`${relay.url}/embed/#${invitation.code}`, page => says(page, '#name', 'Harbour weather', 30_000)],
      'widget-button': [`${here}/plain/`, defined],
      'widget-asks': [`${here}/plain/`, async page => { await defined(page); await question(page); }],
      'widget-runs': [`${here}/plain/`, async page => {
        await defined(page);
        // On the next page of the session it goes on.
        if (!await page.evaluate(() => sessionStorage.getItem('grid-node') !== null)) await lend(page);
        await state(page, 'waiting');
        await tap(page, await frame(page, '#stop'), 'summary');
      }],
    }, await pageOf(await fresh(t, 'chromium'))];
  },
  async people(t) {
    return [await inBetween(t, await t.relay(), ANSWERS), PLACES];
  },
};

for (const [group, prepare] of Object.entries(GROUPS)) {
  tests[`axe finds nothing, and pages look as they did: ${group}`] = async t => {
    const [relay, places, own] = await prepare(t);
    const page = own ?? await pageIn(t, 'chromium');
    // In a browser of its own: a page behind another one is slow.
    const images = await pageIn(t, 'chromium');
    for (const [name, [fragment, ready]] of Object.entries(places)) {
      for (const [device, viewport] of Object.entries(DEVICES)) {
        await page.setViewport(viewport);
        await page.goto('about:blank');
        await (relay ? goto(page, relay, fragment) : page.goto(fragment));
        await ready(page);
        const shots = {};
        for (const scheme of ['light', 'dark']) {
          await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
          await page.evaluate(axe);
          const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
          const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
          assert.deepEqual(found, [], `${name}, ${device}, ${scheme}`);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${name} is ${wide} px too wide on the ${device}`);
          await page.evaluate(() => scrollTo(0, 0));
          const take = async () => (shots[scheme] = Buffer.from(await page.screenshot({ type: 'webp', quality: 80 })));
          const path = join(SHOTS, `${name}-${device}-${scheme}.webp`);
          if (process.env.GRID_SHOTS) {
            mkdirSync(SHOTS, { recursive: true });
            writeFileSync(path, await take());
          } else {
            const kept = readFileSync(path);
            let differ;
            // What is live may still come.
            const looks = async () => (differ = await difference(images, await take(), kept)) <= TOLERATED;
            await until('it looks as it did', looks, 20_000).catch(() => {
              assert.fail(`${path}: ${(differ * 100).toFixed(1)}% differs (GRID_SHOTS=1 makes it anew)`);
            });
          }
        }
        assert.ok(await difference(images, shots.light, shots.dark) > TOLERATED, 'light and dark are told apart');
      }
    }
    assert.deepEqual(page.complaints, []);
  };
}

/** On a phone the charts, with what draws them, are below what is seen first. */
tests['what the first screen of every page needs is small'] = async t => {
  const { relay } = await worked(t, { tasks: 8, nodes: 2 });
  const page = await pageIn(t, 'chromium');
  await page.setViewport(DEVICES.phone);
  const sizes = new Map();
  const session = await page.createCDPSession();
  await session.send('Network.enable');
  const named = new Map();
  session.on('Network.responseReceived', ({ requestId, response }) => named.set(requestId, response.url));
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const path = new URL(named.get(requestId)).pathname;
    // The icon and the manifest are for the browser's own menus.
    if (!/^\/(v1|log)\/|\.(png|webmanifest)$/.test(path)) sizes.set(path, Math.max(sizes.get(path) ?? 0, encodedDataLength));
  });
  const sum = () => [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const list = () => [...sizes].map(([path, size]) => `${path} ${size}`).join(', ');
  await goto(page, relay, '');
  await says(page, '.stream', 'Live', 30_000);
  for (const fragment of ['#/leaders', '#/submit', '#/job', '#/operate', '#/campaigns', '#/']) {
    await goto(page, relay, fragment);
    await page.waitForSelector('h1');
  }
  await says(page, '.stream', 'Live', 30_000);
  assert.ok(sum() < MOST_BYTES, `${sum()} bytes: ${list()}`);
  assert.ok(sum() > 10_000 && sizes.size >= 6, list());
  if (process.env.GRID_SIZES) console.log(`${sum()} bytes: ${list()}`);
  await page.$eval('grid-chart', chart => chart.scrollIntoView());
  await page.waitForSelector('grid-chart canvas', { timeout: 30_000 });
  // What the worker fetches is told to another session.
  const checker = await Promise.all(CHECKER.map(path => compressed(relay, path)));
  assert.ok(checker.reduce((sum, size) => sum + size) < CHECKER_BYTES, `${CHECKER}: ${checker}`);
};

tests['every place is reached by keyboard'] = async t => {
  const relay = await t.relay();
  const page = await pageIn(t, 'chromium');
  await goto(page, relay, '');
  await says(page, '.stream', 'Live');
  const seen = [];
  for (let at = 0; at < 8; at += 1) {
    await page.keyboard.press('Tab');
    seen.push(await page.evaluate(() => document.activeElement.textContent.trim()));
  }
  assert.deepEqual(seen, ['Skip to the page', 'Grid', 'Overview', 'Leaderboard', 'Submit', 'Your jobs', 'Check a proof', 'Lend this browser']);
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
