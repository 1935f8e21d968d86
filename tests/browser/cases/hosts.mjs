// The sample pages in examples/hosts, as sites have them, in Chromium and in Firefox.
import assert from 'node:assert/strict';
import { brotliCompressSync } from 'node:zlib';
import { clickWidget, frame, fresh, hosted, lend, page, site, state, tap, visit } from '../lib/lend.mjs';
import { ENGINES } from '../lib/pages.mjs';
import { until } from '../lib/wait.mjs';

const LIMIT = 6 * 1024;

/** Where what follows the widget stands. */
const place = made => made.$eval('#after', element => element.getBoundingClientRect().toJSON());

const tests = {
  async 'the loader is small and asks for nothing'(t) {
    const { relay } = await hosted(t);
    const answer = await fetch(`${relay.url}/embed.js`);
    const text = await answer.text();
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    const size = brotliCompressSync(text).length;
    assert.ok(size <= LIMIT, `${size} bytes as brotli`);
    assert.doesNotMatch(text, /\bimport\s*[({'"]|\bfetch\(|XMLHttpRequest|sendBeacon/);
  },
};

for (const engine of ENGINES) {
  tests[`a page under a strict policy (${engine})`] = async t => {
    const { relay, here } = await hosted(t);
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/strict/`, relay);
    assert.deepEqual(made.asked, ['/embed.js']);
    assert.deepEqual(made.complaints, []);
    const runs = await lend(made);
    await tap(made, runs, '#stop');
    await state(made, 'off');
    assert.deepEqual(made.complaints, []);
  };

  tests[`nothing moves when the widget comes, opens and goes (${engine})`] = async t => {
    const { here } = await hosted(t);
    const browser = await fresh(t, engine);
    const without = await page(browser);
    await without.setRequestInterception(true);
    without.on('request', request =>
      (request.url().endsWith('/embed.js') ? request.abort() : request.continue()));
    await without.goto(`${here}/plain/`);
    const before = await place(without);
    await without.close();

    const made = await page(browser);
    await made.evaluateOnNewDocument(() => {
      globalThis.shifts = [];
      if (!PerformanceObserver.supportedEntryTypes.includes('layout-shift')) return;
      new PerformanceObserver(list => shifts.push(...list.getEntries().map(entry => entry.value)))
        .observe({ type: 'layout-shift', buffered: true });
    });
    await made.goto(`${here}/plain/`);
    await made.waitForFunction(() => customElements.get('grid-node'));
    assert.deepEqual(await place(made), before);
    const runs = await lend(made);
    assert.deepEqual(await place(made), before);
    await tap(made, runs, '#stop');
    await state(made, 'off');
    assert.deepEqual(await place(made), before);
    assert.deepEqual(await made.evaluate(() => shifts), []);
  };

  tests[`views that come and go (${engine})`] = async t => {
    const { relay, here } = await hosted(t);
    const browser = await fresh(t, engine);
    const made = await page(browser);
    const asked = [];
    made.on('request', request => request.url().startsWith(relay.url) && asked.push(request.url()));
    await made.goto(`${here}/app/`);
    assert.deepEqual(asked, []);
    await made.click('nav a:last-of-type');
    await made.waitForFunction(() => customElements.get('grid-node'));
    await lend(made);
    await until('the relay has it', async () => (await relay.network()).nodes_online === 1);
    // Away from the view, nothing runs; back in it, it goes on: it was agreed to.
    await made.click('nav a:first-of-type');
    await until('the relay has none', async () => (await relay.network()).nodes_online === 0);
    assert.equal(await made.evaluate(() => gridNode.state), 'off');
    await made.click('nav a:last-of-type');
    await state(made, 'waiting');
    await frame(made, '#stop');
    // So it does when the page is loaded again.
    await made.reload();
    await made.waitForFunction(() => customElements.get('grid-node'));
    await state(made, 'waiting');
    await tap(made, await frame(made, '#stop'), '#stop');
    await state(made, 'off');
    // Stopped, it stays so.
    await made.reload();
    await made.waitForFunction(() => customElements.get('grid-node'));
    assert.equal(await made.evaluate(() => gridNode.state), 'off');
    assert.equal(made.frames().length, 1);
  };

  tests[`a page that is left and come back to (${engine})`] = async t => {
    const { relay, here } = await hosted(t);
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/plain/`, relay);
    await lend(made);
    // Browsers may keep it as it was, and with it what runs in its frames.
    await made.goto('about:blank');
    await until('the relay has none', async () => (await relay.network()).nodes_online === 0, 30_000);
    await made.goBack();
    await made.waitForFunction(() => customElements.get('grid-node'));
    await state(made, 'waiting');
    await until('the relay has it', async () => (await relay.network()).nodes_online === 1);
  };

  tests[`a page of another site is refused (${engine})`] = async t => {
    const { relay, here } = await hosted(t);
    const told = site(relay, ['https://elsewhere.example']);
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/plain/`, relay);
    await made.$eval('grid-node', (element, key) => { element.dataset.site = key; }, told);
    await clickWidget(made);
    await state(made, 'failed');
    assert.equal((await relay.network()).nodes_online, 0);
  };
}
export default tests;
