// A node in a tab of the relay's page, in Chromium and in Firefox.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { account, change, EAGER, fresh, page, ready, switchOn, tab, view } from '../lib/lend.mjs';
import { endless, fnv, fnvOf } from '../lib/modules.mjs';
import { ENGINES, says } from '../lib/pages.mjs';
import { natively, tinyModels } from '../lib/tiny.mjs';
import { until } from '../lib/wait.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

const online = async relay => (await relay.network()).nodes_online;

const tests = {};
for (const engine of ENGINES) {
  tests[`nothing before the click, then a task, then nothing (${engine})`] = async t => {
    const relay = await t.relay({ counted: true, believing: true });
    const browser = await fresh(t, engine);
    const made = await tab(browser, relay);
    await ready(made);
    assert.equal((await view(made)).state, 'off');
    assert.equal(relay.sockets, 0);
    await switchOn(made);
    assert.equal(relay.sockets, 1);
    const owner = relay.owner();
    const result = await owner.run(fnv(), { stdin: Buffer.from('a tab') });
    assert.deepEqual(result.files.stdout, fnvOf(Buffer.from('a tab')));
    await until('it counts', async () => (await view(made)).tasks === 1, 30_000);
    // Fetched modules run where there is no origin.
    const sandbox = made.frames().find(frame => frame.url().endsWith('/node/sandbox.html'));
    assert.equal(await sandbox.evaluate(() => origin), 'null');
    await made.click('#switch');
    await until('the relay has no node', async () => await online(relay) === 0, 30_000);
    await until('it is off', async () => (await view(made)).state === 'off');
    assert.deepEqual(made.complaints, []);
  };

  tests[`models run in a tab, bit for bit as natively (${engine})`] = async t => {
    const { bert } = tinyModels();
    const relay = await t.relay({ models: [bert], believing: true });
    const browser = await fresh(t, engine);
    const made = await tab(browser, relay);
    await ready(made);
    await switchOn(made);
    const request = { texts: ['a text of letters', 'another one'] };
    const expected = natively(bert, 'embed', request);
    const owner = relay.owner();
    const { id } = await owner.infer(expected.model, 'embed', [request], { seed: '07'.repeat(32) });
    const [{ reason, output, check, fuel }] = await owner.results(id, 120_000);
    assert.deepEqual({ reason, output, check, fuel }, {
      reason: 'exit', output: expected.output, check: expected.check, fuel: expected.fuel,
    });
  };

  tests[`one tab at a time, which another one can take over (${engine})`] = async t => {
    const relay = await t.relay({ believing: true });
    const browser = await fresh(t, engine);
    const first = await tab(browser, relay);
    await ready(first);
    await switchOn(first);
    const key = (await view(first)).node;
    const second = await tab(browser, relay);
    await until('it says what runs elsewhere', () => second.$eval('#there', element => element.textContent), 30_000);
    assert.equal(await second.$eval('#elsewhere', element => element.hidden), false);
    assert.equal(await second.$eval('#own', element => element.hidden), true);
    await second.bringToFront();
    await second.click('#take');
    await ready(second);
    await until('it works here', async () => (await view(second)).why === 'no_work', 40_000);
    assert.equal((await view(second)).node, key);
    await until('the first one says so', () => first.$eval('#elsewhere', element => !element.hidden), 30_000);
    assert.equal(await online(relay), 1);
    // Left (Firefox's driver keeps the documents of closed tabs), it goes on in the other one.
    await second.goto('about:blank');
    await first.bringToFront();
    await ready(first);
    await until('it works there', async () => (await view(first)).why === 'no_work', 40_000);
  };

  tests[`a tab without storage works, and says so (${engine})`] = async t => {
    const relay = await t.relay({ believing: true });
    const browser = await fresh(t, engine);
    const made = await browser.newPage();
    await made.evaluateOnNewDocument(() => {
      for (const name of ['localStorage', 'sessionStorage']) {
        Object.defineProperty(window, name, { get: () => { throw new DOMException('no', 'SecurityError'); } });
      }
    });
    await made.goto(`${relay.url}/node/`);
    await ready(made);
    assert.equal(await made.$eval('#memory', element => element.checkVisibility()), true);
    await switchOn(made);
    const owner = relay.owner();
    assert.equal((await owner.run(fnv(), {})).reason, 'exit');
  };

  tests[`an invitation in the address is taken along (${engine})`] = async t => {
    const relay = await t.relay({ believing: true });
    const { invitation: { code } } = account(t, relay)('invite');
    const invitation = async () => (await fetch(`${relay.url}/v1/invitations/${code}`)).json();
    const inviter = (await invitation()).account;
    const browser = await fresh(t, engine);
    const made = await tab(browser, relay, `#invite=${code}`);
    await ready(made);
    assert.equal(await made.evaluate(() => location.hash), '');
    await until('it is taken', async () => (await view(made)).account.invitation === code, 30_000);
    await switchOn(made);
    await relay.owner().run(fnv(), {});
    await until('the inviter has brought one', async () => {
      const person = await (await fetch(`${relay.url}/v1/accounts/${inviter}`)).json();
      return person.invited === 1;
    }, 60_000);
  };

  tests[`what is no invitation is said, beside a node that can be stopped (${engine})`] = async t => {
    const relay = await t.relay({ believing: true });
    const browser = await fresh(t, engine);
    const made = await tab(browser, relay);
    await ready(made);
    await switchOn(made);
    await made.goto('about:blank');
    await made.goto(`${relay.url}/node/#invite=BAD`);
    await ready(made);
    await says(made, '#failed', 'That is no invitation', 30_000);
    await until('it goes on', async () => (await view(made)).why === 'no_work', 40_000);
    await made.click('#stop');
    await until('it is off', async () => (await view(made)).state === 'off', 30_000);
  };

  tests[`its clock is one worker, and another one where that fails (${engine})`] = async t => {
    const relay = await t.relay({ believing: true });
    const browser = await fresh(t, engine);
    const made = await page(browser);
    await made.evaluateOnNewDocument(() => {
      const Real = Worker;
      globalThis.clocks = [];
      globalThis.rang = 0;
      globalThis.Worker = class extends Real {
        constructor(url, options) {
          const clock = url === 'ticks.js';
          // The first one's script can't be loaded.
          super(clock && !clocks.length ? 'gone.js' : url, options);
          if (!clock) return;
          clocks.push(this);
          this.addEventListener('message', () => (rang += 1));
        }
      };
    });
    await made.goto(`${relay.url}/node/`);
    await ready(made);
    await switchOn(made);
    const clocks = () => made.evaluate(() => clocks.length);
    await until('it rang', async () => await made.evaluate(() => rang) >= 4, 60_000);
    assert.equal(await clocks(), 2);
    await made.click('#switch');
    await until('it is off', async () => (await view(made)).state === 'off', 30_000);
    const before = await made.evaluate(() => rang);
    await switchOn(made);
    await until('it rings again', async () => await made.evaluate(() => rang) > before, 30_000);
    assert.equal(await clocks(), 3);
  };

  tests[`what it loads ends with the switch (${engine})`] = async t => {
    const relay = await t.relay({ believing: true, counted: true });
    const browser = await fresh(t, engine);
    const made = await tab(browser, relay);
    await ready(made);
    await switchOn(made);
    relay.proxy.hold = 'GET /v1/blobs/';
    await relay.owner().submit(fnv(), [{}]);
    await until('it loads the module', () => relay.proxy.held.size > 0, 40_000);
    await made.click('#switch');
    await until('it loads nothing', () => relay.proxy.held.size === 0, 30_000);
  };

  tests[`a page is in use for a minute after its last input, hidden or not (${engine})`] = async t => {
    const relay = await t.relay();
    const browser = await fresh(t, engine);
    const made = await tab(browser, relay);
    await ready(made);
    await says(made, '#here_hint', 'no other input', 30_000);
    assert.equal(await made.$eval('#here_hint', element => element.checkVisibility()), true);
    const found = await made.evaluate(async () => {
      const { idleness } = await import('/node/idle.js');
      let [now, timer] = [0];
      Date.now = () => now;
      globalThis.setTimeout = (call, ms) => (timer = { call, at: now + ms });
      globalThis.clearTimeout = () => (timer = undefined);
      const told = [];
      const { state } = idleness(state => told.push(state));
      const look = at => {
        now = at;
        timer?.call();
        return state();
      };
      Object.defineProperty(document, 'hidden', { get: () => true });
      document.dispatchEvent(new Event('visibilitychange'));
      // A timer that comes early isn't the last one.
      return [state(), look(59_000), timer?.at, look(60_000), told];
    });
    assert.deepEqual(found, ['active', 'active', 60_000, 'idle', ['idle']]);
  };

  tests[`a module that never ends is ended with the switch (${engine})`] = async t => {
    const relay = await t.relay({ believing: true });
    const browser = await fresh(t, engine);
    const made = await tab(browser, relay);
    await ready(made);
    await switchOn(made);
    const owner = relay.owner();
    await owner.submit(endless(), [{}], { fuel: 2 ** 46 });
    await until('it runs', async () => (await view(made)).state === 'working', 40_000);
    assert.equal(await made.evaluate(() => 1 + 1), 2);
    await made.click('#switch');
    await until('it is off', async () => (await view(made)).state === 'off', 30_000);
    await until('the sandbox is gone', () => made.evaluate(() => !document.querySelector('iframe')), 30_000);
    await change(made, EAGER);
  };

  tests[`the tab is readable for everyone (${engine})`] = async t => {
    const relay = await t.relay({ believing: true });
    const browser = await fresh(t, engine);
    const made = await tab(browser, relay);
    await ready(made);
    await made.evaluate(readFileSync(AXE, 'utf8'));
    const themes = engine === 'chromium' ? ['light', 'dark'] : ['light'];
    for (const theme of themes) {
      if (themes.length > 1) await made.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }]);
      const { violations } = await made.evaluate(() => axe.run(document, { iframes: false }));
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes[0].html]), [], theme);
    }
  };
}

tests['the browser tells of all input, where its user lets it'] = async t => {
  const relay = await t.relay({ believing: true });
  const browser = await fresh(t, 'chromium');
  await browser.defaultBrowserContext().overridePermissions(relay.url, ['idle-detection']);
  const made = await tab(browser, relay);
  await made.emulateIdleState({ isUserActive: true, isScreenUnlocked: true });
  await ready(made);
  await change(made, { ...EAGER, in_use: { cpu: 0, gpu: 0 } });
  await made.click('#switch');
  const why = (what, reason) => until(what, async () => (await view(made)).why === reason, 40_000);
  await why('the device is in use', 'device_in_use');
  // Left alone, although this page was clicked a moment ago; and used, although not in this page.
  await made.emulateIdleState({ isUserActive: false, isScreenUnlocked: true });
  await why('it works', 'no_work');
  await made.emulateIdleState({ isUserActive: true, isScreenUnlocked: true });
  await why('it is in use again', 'device_in_use');
  await made.emulateIdleState({ isUserActive: true, isScreenUnlocked: false });
  await why('it is locked', 'no_work');
  assert.equal(await made.$eval('#detect', element => element.hidden), true);
  await until('nothing else is to be said', () => made.$eval('#here_hint', element => element.hidden), 30_000);
};

tests['without it, a page asks first, where it can be asked'] = async t => {
  const relay = await t.relay();
  for (const [engine, hidden] of [['chromium', false], ['firefox', true]]) {
    const made = await tab(await fresh(t, engine), relay);
    await ready(made);
    await until(`${engine}: ${hidden}`, async () => await made.$eval('#detect', element => element.hidden) === hidden, 30_000);
  }
};
export default tests;
