// The pages as an app: installed, and opened while there is no relay.
import assert from 'node:assert/strict';
import { ENGINES, choose, goto, pageIn, proof, says, text, verdict, worked } from '../lib/pages.mjs';
import { change, EAGER, ready, view } from '../lib/lend.mjs';
import { until } from '../lib/wait.mjs';

const tests = {};
for (const engine of ENGINES) {
  tests[`the pages open without the relay, and say so (${engine})`] = async t => {
    const network = await worked(t);
    const { relay } = network;
    const file = proof(t, network);
    const page = await pageIn(t, engine);
    await goto(page, relay, '');
    await says(page, '.stream', 'Live', 30_000);
    await until('the shell is kept', () => page.evaluate(async () => {
      const cache = await caches.open('grid-shell');
      return navigator.serviceWorker.controller?.state === 'activated' && Boolean(await cache.match('./'));
    }), 60_000);
    const kept = await page.evaluate(async () => {
      const cache = await caches.open('grid-shell');
      return (await cache.keys()).map(request => new URL(request.url).pathname);
    });
    assert.deepEqual(kept.filter(path => /^\/(v1|log|metrics|node|embed)/.test(path)), [], 'no answer is kept');
    await until('the figures are kept', () => page.evaluate(() => localStorage.getItem('grid-live')), 30_000);
    const fuel = await page.evaluate(() => JSON.parse(localStorage.getItem('grid-live')).fuel);
    relay.process.kill('SIGKILL');
    await relay.ended;
    await page.reload();
    await says(page, '[role=alert]', 'Off line: the relay can\'t be reached. What is shown is how it was at', 60_000);
    assert.ok(fuel > 0 && !(await text(page, '.figures')).includes('–'), 'the last state is shown');
    assert.ok(!(await text(page, '.stream')).includes('Live'));
    // A proof is checked all the same, from a fresh start.
    await page.goto(`${relay.url}/#/leaders`);
    await page.goto('about:blank');
    await goto(page, relay, '#/check');
    await says(page, '[role=status]', 'Ready', 60_000);
    await choose(page, file);
    await verdict(page, true);
    await relay.serve(relay.address);
    await goto(page, relay, '#/');
    await says(page, '.stream', 'Live', 60_000);
  };

  tests[`the node opens without the relay, says so, and goes on with it (${engine})`] = async t => {
    const relay = await t.relay({ believing: true });
    const page = await pageIn(t, engine);
    await page.goto(`${relay.url}/node/`);
    await ready(page);
    assert.equal(await page.$eval('#offline', element => element.hidden), true);
    await until('the page is kept', () => page.evaluate(async () => {
      const cache = await caches.open('grid-node');
      const kept = await Promise.all(['/node/', '/node/grid_bg.wasm'].map(path => cache.match(path)));
      return Boolean(navigator.serviceWorker.controller) && kept.every(Boolean);
    }), 60_000);
    relay.process.kill('SIGKILL');
    await relay.ended;
    await page.reload();
    await ready(page);
    await until('it says so', () => page.$eval('#offline', element => element.checkVisibility()), 30_000);
    await says(page, '#offline', 'Off line');
    await change(page, EAGER);
    await page.click('#switch');
    await says(page, '#why', 'can\'t be reached', 30_000);
    await relay.serve(relay.address);
    await until('it is on line', () => page.$eval('#offline', element => element.hidden), 60_000);
    await until('the node has joined', async () => (await view(page)).why === 'no_work', 90_000);
  };
}

for (const [name, path, there] of [['the pages', '', '.stream'], ['the node', 'node/', '#controls[data-state]']]) {
  tests[`${name} can be installed`] = async t => {
    const relay = await t.relay();
    const page = await pageIn(t, 'chromium');
    await page.goto(`${relay.url}/${path}`);
    await page.waitForSelector(there, { timeout: 30_000 });
    await page.evaluate(() => navigator.serviceWorker.ready);
    const session = await page.createCDPSession();
    const { errors, data } = await session.send('Page.getAppManifest');
    assert.deepEqual(errors, []);
    const { icons, shortcuts } = JSON.parse(data);
    assert.equal(shortcuts[0].url, 'node/');
    for (const { src, sizes } of icons) {
      const size = await page.evaluate(async src => {
        const image = await createImageBitmap(await (await fetch(`/${src}`)).blob());
        return `${image.width}x${image.height}`;
      }, src);
      assert.equal(size, sizes, src);
    }
    const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
    const found = installabilityErrors.map(({ errorId }) => errorId).filter(id => id !== 'in-incognito');
    assert.deepEqual(found, []);
  };
}

export default tests;
