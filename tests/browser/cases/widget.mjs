// The widget on other sites' pages, in Chromium and in Firefox.
import assert from 'node:assert/strict';
import { accessible } from '../lib/accessible.mjs';
import {
  change, clickWidget, frame, fresh, hosted, lend, question, ready, site, state, tab, tap, view, visit,
} from '../lib/lend.mjs';
import { fnv, fnvOf } from '../lib/modules.mjs';
import { ENGINES } from '../lib/pages.mjs';
import { until } from '../lib/wait.mjs';

/** Browsers that refuse storage to third parties. */
const NO_STORAGE = {
  flags: ['--disable-features=ThirdPartyStoragePartitioning'],
  preferences: { 'network.cookie.cookieBehavior': 1 },
};

const tests = {};
for (const engine of ENGINES) {
  tests[`nothing before the click; asks, works, stops (${engine})`] = async t => {
    const { relay, owner, here } = await hosted(t, { counted: true });
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/plain/`, relay);
    assert.deepEqual(made.asked, ['/embed.js']);
    await made.evaluate(() => {
      globalThis.seen = [];
      document.querySelector('grid-node').addEventListener('grid-state', ({ detail }) => seen.push(detail.state));
    });
    const runs = await lend(made);
    const result = await owner.run(fnv(), { stdin: Buffer.from('a visitor') });
    assert.deepEqual(result.files.stdout, fnvOf(Buffer.from('a visitor')));
    await tap(made, runs, '#stop');
    await state(made, 'off');
    await until('the relay has no node', async () => (await relay.network()).nodes_online === 0);
    assert.equal(made.frames().length, 1);
    const seen = await made.evaluate(() => seen);
    assert.deepEqual(seen.slice(0, 2), ['connecting', 'asking']);
    assert.equal(seen.at(-1), 'off');
    assert.deepEqual(made.complaints, []);
  };

  tests[`no script of the host starts it, and none clicks it (${engine})`] = async t => {
    const { relay, key, here } = await hosted(t, { counted: true });
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/plain/`, relay);
    // Clicks that nobody made, on the element and where it stands.
    await made.$eval('grid-node', element => {
      element.click();
      element.focus();
      const { x, y } = element.getBoundingClientRect();
      for (const kind of ['pointerdown', 'mousedown', 'mouseup', 'click']) {
        const at = { bubbles: true, composed: true, clientX: x + 9, clientY: y + 9 };
        element.dispatchEvent(new MouseEvent(kind, at));
        document.elementFromPoint(x + 9, y + 9).dispatchEvent(new MouseEvent(kind, at));
      }
      element.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
      if (element.shadowRoot) throw new Error('the shadow root is open');
    });
    assert.deepEqual(made.asked, ['/embed.js']);
    // The frame itself, opened and talked to by the host.
    await made.evaluate(async (relay, key) => {
      const frame = document.createElement('iframe');
      frame.src = `${relay}/embed/${key}`;
      frame.id = 'theirs';
      frame.width = 400;
      frame.height = 500;
      await new Promise(loaded => {
        frame.onload = loaded;
        document.body.prepend(frame);
      });
      for (const grid of ['hello', 'agree', 'start', 'run', 'on', 'settings']) {
        const message = { grid, resume: true, on: true, kind: 'settings', settings: { on: true } };
        frame.contentWindow.postMessage(message, '*');
      }
    }, relay.url, key);
    const theirs = await frame(made, 'main');
    await until('it has heard', () => theirs.evaluate(() => document.documentElement.lang === 'en'));
    // A click that a script of the frame's own document makes is none, either.
    await theirs.evaluate(() => {
      document.querySelector('#agree').disabled = false;
      document.querySelector('#agree').click();
    });
    assert.equal(await theirs.evaluate(() => Object.keys(localStorage).some(key => key.includes('agreed'))), false);
    assert.equal(relay.sockets, 0);
  };

  tests[`hidden, it can't be agreed to, and it pauses (${engine})`] = async t => {
    const { relay, here } = await hosted(t);
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/plain/`, relay);
    const asks = await question(made);
    const disabled = () => asks.$eval('#agree', button => button.disabled);
    const hide = css => made.$eval('grid-node', (element, css) => (element.style.cssText = css), css);
    await hide('display: none');
    await until('it can not be agreed to', disabled);
    await hide('');
    // Firefox took the focus away with the frame.
    await tap(made, asks, '#title');
    await until('it can', async () => !await disabled(), 30_000);
    if (engine === 'chromium') {
      // Something invisible above it takes no click and lets none through to it.
      await made.evaluate(() => {
        const cover = document.createElement('div');
        cover.id = 'cover';
        cover.popover = 'manual';
        cover.style.cssText = 'position: fixed; inset: 0; width: auto; height: auto; opacity: 0.01; pointer-events: none';
        document.body.append(cover);
        cover.showPopover();
      });
      await until('it can not be agreed to', disabled);
      assert.match(await asks.$eval('#guard', element => element.textContent), /covers/);
      await made.evaluate(() => document.querySelector('#cover').remove());
      await until('it can', async () => !await disabled(), 30_000);
    }
    await tap(made, asks, '#agree');
    await state(made, 'waiting');
    await hide('display: none');
    await state(made, 'paused');
    assert.match(await made.$eval('grid-node', element => element.why), /hides this/);
    await until('the relay has none', async () => (await relay.network()).nodes_online === 0, 60_000);
    await hide('');
    await state(made, 'waiting');
  };

  tests[`an agreement ends after a day, and with the clock (${engine})`] = async t => {
    const { relay, here } = await hosted(t);
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/plain/`, relay);
    const runs = await lend(made);
    const later = hours => runs.evaluate(hours => {
      const now = Date.now;
      Date.now = () => now() + hours * 3_600_000;
    }, hours);
    await later(23.9);
    await until('it goes on', async () => (await relay.network()).nodes_online === 1);
    assert.equal(await made.evaluate(() => gridNode.state), 'waiting');
    await later(0.2);
    await state(made, 'asking');
    await until('the relay has none', async () => (await relay.network()).nodes_online === 0);
    const again = await frame(made, '#again');
    await until('it can be agreed to', () => again.$eval('#agree', button => !button.disabled), 30_000);
    await tap(made, again, '#agree');
    await state(made, 'waiting');
    // Back by a year: what was agreed to was at another time.
    await later(-24 * 365);
    await state(made, 'asking');
  };

  tests[`one in each browser: another tab of the site waits its turn (${engine})`] = async t => {
    const { relay, here } = await hosted(t);
    const browser = await fresh(t, engine);
    const first = await visit(browser, `${here}/plain/`, relay);
    await lend(first);
    const second = await visit(browser, `${here}/strict/`, relay);
    await second.bringToFront();
    await clickWidget(second);
    await until('it says so', async () => /another tab/.test(
      await second.$eval('grid-node', element => element.why)), 30_000);
    assert.equal((await relay.network()).nodes_online <= 1, true);
    await first.goto('about:blank');
    await state(second, 'waiting');
  };

  tests[`stopped in one tab, the next one doesn't ask (${engine})`] = async t => {
    const { relay, here } = await hosted(t);
    const browser = await fresh(t, engine);
    const first = await visit(browser, `${here}/plain/`, relay);
    const runs = await lend(first);
    const second = await visit(browser, `${here}/strict/`, relay);
    await second.evaluate(() => {
      globalThis.states = [];
      addEventListener('grid-state', ({ detail }) => states.push(detail.state));
    });
    await second.bringToFront();
    await clickWidget(second);
    await until('it waits', async () => /another tab/.test(
      await second.$eval('grid-node', element => element.why)), 30_000);
    await first.bringToFront();
    await tap(first, runs, '#stop');
    await state(first, 'off');
    await state(second, 'off');
    assert.equal((await second.evaluate(() => states)).includes('asking'), false);
    // Stopped where it waited, it ends where it works, which has nothing to ask, either.
    await lend(first);
    await second.bringToFront();
    await clickWidget(second);
    const waits = await frame(second, '#stop');
    await tap(second, waits, '#stop');
    await state(second, 'off');
    await state(first, 'off');
  };

  tests[`stopped by the page before it has begun (${engine})`] = async t => {
    const { relay, key, here } = await hosted(t, { counted: true });
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/plain/`, relay);
    await made.evaluate(() => addEventListener('click', () => gridNode.stop(), { once: true }));
    await clickWidget(made);
    assert.equal(await made.evaluate(() => gridNode.state), 'off');
    assert.equal(made.frames().length, 1);
    // It was agreed to: it would run at once.
    await lend(made);
    await made.goto('about:blank');
    await until('the relay has none', async () => (await relay.network()).nodes_online === 0, 30_000);
    const before = relay.sockets;
    await made.goto(`${here}/app/`);
    const told = await made.evaluate(async (relay, key) => {
      const frame = document.createElement('iframe');
      frame.src = `${relay}/embed/${key}`;
      frame.width = 400;
      frame.height = 500;
      const first = new Promise(heard => addEventListener('message', ({ data }) => heard(data.grid)));
      frame.onload = () => {
        for (const grid of ['hello', 'stop']) frame.contentWindow.postMessage({ grid, resume: true }, '*');
      };
      document.body.prepend(frame);
      return first;
    }, relay.url, key);
    assert.equal(told, 'off');
    assert.equal(relay.sockets, before);
  };

  tests[`in a window that is low it can be scrolled through (${engine})`] = async t => {
    const { relay, here } = await hosted(t);
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/plain/`, relay);
    await made.setViewport({ width: 400, height: 290 });
    await made.$eval('grid-node', element => element.scrollIntoView());
    await clickWidget(made);
    const asks = await frame(made, '#agree');
    // Firefox's frame needs the focus.
    await tap(made, asks, '#title');
    const says = words => until(`it says ${words}`, async () => words.test(
      await asks.$eval('#guard', element => element.textContent)), 30_000);
    await says(/Scroll through/);
    // At the end at once, as an address with a fragment has it: what it asks was not shown.
    const scroll = to => asks.evaluate(to => document.body.scrollTo(0, to), to);
    await scroll(9_999);
    await until('it is at the end', () => asks.evaluate(() => document.body.scrollTop > 100));
    await until('the button is in reach', () => asks.$eval('#agree', button =>
      button.getBoundingClientRect().bottom <= innerHeight));
    await says(/Scroll through/);
    assert.equal(await asks.$eval('#agree', button => button.disabled), true);
    await scroll(0);
    await made.mouse.move(200, 120);
    await until('it can be agreed to', async () => {
      await made.mouse.wheel({ deltaY: 20 });
      return asks.$eval('#agree', button => !button.disabled);
    }, 30_000, 200);
    await tap(made, asks, '#agree');
    await state(made, 'waiting');
  };

  tests[`of the relay's own site, it changes nothing of its tab (${engine})`] = async t => {
    const { relay, here } = await hosted(t);
    const same = `http://127.0.0.1:${new URL(here).port}`;
    const key = site(relay, [same]);
    const browser = await fresh(t, engine);
    const own = await tab(browser, relay);
    await ready(own);
    const mine = { idle: { cpu: 45, gpu: 10 }, hours: { from: 60, to: 120, days: 3 }, models_mib: 77 };
    await change(own, mine);
    await own.goto('about:blank');
    const made = await visit(browser, `${same}/plain/`, relay);
    await made.$eval('grid-node', (element, key) => (element.dataset.site = key), key);
    const runs = await lend(made);
    // They share what is stored: that is why.
    assert.notEqual(await runs.evaluate(() => localStorage.getItem('grid.settings')), null);
    await made.goto('about:blank');
    await made.close();
    const back = await tab(browser, relay);
    await ready(back);
    const { state: is, settings } = await view(back);
    assert.equal(is, 'off');
    assert.deepEqual({ idle: settings.idle, hours: settings.hours, models_mib: settings.models_mib }, mine);
  };

  tests[`a browser that keeps nothing for frames (${engine})`] = async t => {
    const { relay, owner, here } = await hosted(t);
    const browser = await fresh(t, engine, NO_STORAGE);
    const made = await visit(browser, `${here}/plain/`, relay);
    const runs = await lend(made, { everywhere: true });
    assert.equal(await runs.evaluate(() => page.kept), false);
    await until('it says so', async () => /keeps nothing/.test(
      await runs.$eval('#holds', element => element.textContent)), 30_000);
    const result = await owner.run(fnv(), { stdin: Buffer.from('from memory') });
    assert.deepEqual(result.files.stdout, fnvOf(Buffer.from('from memory')));
    await tap(made, runs, '#stop');
    await state(made, 'off');
    // Nothing was kept: it asks again.
    await question(made);
  };

  tests[`the frame is readable for everyone (${engine})`] = async t => {
    const { relay, here } = await hosted(t);
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/plain/`, relay);
    const asks = await question(made);
    await accessible(asks, 'widget-asks');
    await tap(made, asks, '#agree');
    await state(made, 'waiting');
    const runs = await frame(made, '#stop');
    await accessible(runs, 'widget-runs');
    await tap(made, runs, 'summary');
    await accessible(runs, 'widget-runs-more');
    // Firefox's driver keeps keys out of frames of other sites.
    if (engine === 'firefox') return;
    await until('Stop is reached', async () => {
      await made.keyboard.press('Tab');
      return runs.evaluate(() => document.activeElement?.id === 'stop');
    }, 30_000);
    await made.keyboard.press('Enter');
    await state(made, 'off');
  };

  tests[`away from the relay and back (${engine})`] = async t => {
    const { relay, owner, here } = await hosted(t);
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/plain/`, relay);
    await lend(made);
    relay.process.kill('SIGTERM');
    await relay.ended;
    await state(made, 'connecting');
    await relay.serve(relay.address);
    await state(made, 'waiting');
    const result = await owner.run(fnv(), { stdin: Buffer.from('again') });
    assert.deepEqual(result.files.stdout, fnvOf(Buffer.from('again')));
  };
}

tests['in a process of its own: asks, works, stops (chromium)'] = async t => {
  const { relay, owner, here } = await hosted(t);
  const browser = await fresh(t, 'chromium', { isolated: true });
  const session = await browser.target().createCDPSession();
  const made = await visit(browser, `${here}/plain/`, relay);
  let asks;
  // This driver loses one of some twenty frames that move into another process: it looks again.
  for (let tries = 0; !asks; tries += 1) {
    await clickWidget(made);
    asks = await frame(made, '#agree').catch(error => {
      if (tries === 3) throw error;
    });
    if (!asks) await made.reload();
    await made.waitForFunction(() => customElements.get('grid-node'));
  }
  const { targetInfos } = await session.send('Target.getTargets');
  assert.ok(targetInfos.some(({ type, url }) => type === 'iframe' && url.startsWith(`${relay.url}/embed/`)));
  await until('it can be agreed to', () => asks.$eval('#agree', button => !button.disabled), 30_000);
  await tap(made, asks, '#agree');
  await state(made, 'waiting');
  const result = await owner.run(fnv(), { stdin: Buffer.from('apart') });
  assert.deepEqual(result.files.stdout, fnvOf(Buffer.from('apart')));
  await tap(made, asks, '#stop');
  await state(made, 'off');
  await until('the relay has no node', async () => (await relay.network()).nodes_online === 0, 30_000);
  assert.deepEqual(made.complaints, []);
};
export default tests;
