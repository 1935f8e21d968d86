// What the popup says and does.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { accessible } from '../lib/accessible.mjs';
import { shares } from '../lib/browser.mjs';
import { endless, fnv } from '../lib/modules.mjs';
import { IDLE, overlay } from '../lib/overlay.mjs';
import { trapServer } from '../lib/trap-server.mjs';
import { until } from '../lib/wait.mjs';

const WAIT = 30_000;
const shown = async (popup, selector, text) => until(
  `${selector} says ${text}`,
  async () => (await popup.locator(selector).textContent()).includes(text), WAIT);

export default {
  async 'it says the state and the reason in words'(t) {
    const trap = await trapServer(t);
    const extension = overlay(t, { before: { 'service-worker.js': IDLE } });
    const words = JSON.parse(readFileSync(join(extension, '_locales/en/messages.json'), 'utf8'));
    const [relay, browser] = await Promise.all([t.relay(), t.browser(extension)]);
    const owner = relay.owner();
    const popup = (browser.page = await browser.popup());
    const says = async (state, why) => {
      await shown(popup, '#word', words[`state_${state}`].message);
      await shown(popup, '#why', words[`why_${why}`].message);
      await accessible(popup, `extension-popup-${state}-${why}`);
    };
    await says('off', 'switched_off');
    assert.equal(await popup.locator('#stop').isVisible(), false, 'there is nothing to stop');
    await browser.switchOn(`http://${trap.host}`, { share: 50, idleOnly: true });
    await says('paused', 'device_in_use');
    await browser.worker.evaluate(() => setIdle('idle'));
    await says('connecting', 'unreachable');
    await browser.change({ relay: 'ftp://nowhere' });
    await says('connecting', 'bad_address');
    await browser.change({ relay: relay.url });
    await says('waiting', 'no_work');
    await browser.change({ hours: { from: 0, to: 60, days: 0 } });
    await says('paused', 'outside_hours');
    await browser.change({ hours: null });
    await says('waiting', 'no_work');
    // Slowly, so that there is time to look.
    await browser.change({ idle: { cpu: 5, gpu: 0 } });
    await owner.submit(endless(), [{}], { fuel: 3e9 });
    await until('a bar moves', async () => await popup.locator('progress').evaluate(bar => bar.value) > 0, WAIT);
    await says('working', 'working');
    await shown(popup, '.since', relay.address);
    await shown(popup, '.publisher', 'browser test, published by tests');
    await browser.change({ idle: { cpu: 100, gpu: 0 } });
    await shown(popup, '#tasks', '1');
    await shown(popup, '#points', '3');
    await shown(popup, '#today', '3');
    assert.equal((await browser.view()).today.tasks, 1);
    // Points in all are the relay's count; today's are what this browser counted.
    await browser.stopWorker();
    await shown(popup, '#today', '3');
  },

  async 'who is here may have it work at once, gently'(t) {
    const extension = overlay(t, { before: { 'service-worker.js': IDLE } });
    const { owner, browser } = await t.network({ extension, idleOnly: true });
    await owner.submit(endless(), [{}], { fuel: 1e13 });
    await shown(browser.page, '#word', 'Paused');
    await browser.page.locator('#gently').click();
    await until('it works', async () => (await browser.view()).running[0]?.fuel > 0, WAIT);
    assert.deepEqual((await browser.view()).settings.in_use, { cpu: 20, gpu: 0 });
    await until('nothing more is offered', () => browser.page.locator('#gently').isHidden(), WAIT);
  },

  async 'it pauses for a while, and Stop is always there'(t) {
    const { relay, owner, browser } = await t.network();
    const popup = browser.page;
    await owner.submit(endless(), [{}], { fuel: 1e13 });
    await until('it works', async () => (await browser.view()).running[0]?.fuel > 0, WAIT);
    assert.ok(await popup.locator('#stop').isVisible());
    await popup.locator('#snooze summary').click();
    await popup.locator('[data-minutes="15"]').click();
    await until('it pauses', async () => (await browser.view()).why === 'snoozed', WAIT);
    const { until: end, settings } = await browser.view();
    assert.ok(settings.on, 'it is still on');
    assert.ok(Math.abs(end - Date.now() - 15 * 60_000) < WAIT, `${end - Date.now()} ms`);
    const minute = new Intl.DateTimeFormat('en', { minute: '2-digit' }).format(end).padStart(2, '0');
    await shown(popup, '#why', `:${minute}`);
    await accessible(popup, 'extension-popup-paused-snoozed');
    assert.ok(await popup.locator('#stop').isVisible());
    // A snooze outlives the service worker.
    await browser.stopWorker();
    await until('it still pauses', async () => (await browser.view()).why === 'snoozed', WAIT);
    await popup.locator('#resume').click();
    await until('it works', async () => (await browser.view()).state === 'working', WAIT);

    await popup.locator('#snooze summary').click();
    await popup.locator('[data-minutes="0"]').click();
    await until('it pauses', async () => (await browser.view()).why === 'snoozed', WAIT);
    const morning = await popup.evaluate(at => new Date(at).toTimeString().slice(0, 5), (await browser.view()).until);
    assert.equal(morning, '06:00');
    await popup.locator('#stop').click();
    await until('it is off', async () => (await browser.view()).state === 'off', WAIT);
    assert.equal((await browser.view()).settings.snooze_until, 0, 'the next start is one');
    await until('nobody is connected', async () => (await relay.network()).nodes_online === 0, WAIT);
  },

  async 'it works with the keyboard, and everything has a name'(t) {
    const { browser, owner } = await t.network();
    await browser.joined();
    await owner.run(fnv(), { stdin: 'one' });
    const popup = await browser.popup();
    await popup.waitForSelector('#done:not([hidden])');
    const focused = async () => {
      await popup.keyboard.press('Tab');
      return popup.evaluate(() => {
        const { id, ariaLabel, textContent, parentElement } = document.activeElement;
        return [id || parentElement.id, (ariaLabel || textContent).trim().length > 0];
      });
    };
    const names = [];
    for (let at = 0; at < 6; at += 1) names.push(await focused());
    const order = ['switch', 'stop', 'snooze', 'done', 'options', 'network'];
    assert.deepEqual(names, order.map(id => [id, true]));
    await popup.locator('#switch').focus();
    await popup.keyboard.press('Space');
    await until('the switch is off', async () => !(await browser.view()).settings.on, WAIT);
    await until('it says so', async () =>
      await popup.locator('#switch').getAttribute('aria-checked') === 'false', WAIT);
  },

  async 'the last tasks have receipts, which it checks'(t) {
    const { relay, owner, browser } = await t.network();
    await browser.joined();
    await owner.run(fnv(), { stdin: 'one' });
    await owner.run(fnv(), { stdin: 'two' });
    const popup = browser.page;
    await until('two are listed', async () => await popup.locator('#recent li').count() === 2, WAIT);
    await popup.locator('#done summary').click();
    const first = popup.locator('#recent li').first();
    const seq = (await browser.ask({ kind: 'recent' }))[0].seq;
    assert.equal(await first.locator('a').getAttribute('href'), `${relay.url}/#/check/${seq}`);
    await first.getByRole('button').click();
    await popup.waitForSelector('#recent li:first-child .verdict[data-ok="true"]');
    await accessible(popup, 'extension-popup-receipts');
    // What storage holds is not believed.
    const falsify = (field, change) => browser.worker.evaluate(async ([field, change]) => {
      const { 'acks-0': acks } = await chrome.storage.local.get('acks-0');
      const last = acks.at(-1);
      const of = { ack: last, fuel: last.ack, receipt: last.work }[field];
      const name = { ack: 'signature', fuel: 'size', receipt: 'receipt_signature' }[field];
      const before = of[name];
      of[name] = change ?? (typeof before === 'number' ? before + 1 : `${before[0] === '0' ? '1' : '0'}${before.slice(1)}`);
      await chrome.storage.local.set({ 'acks-0': acks });
      return before;
    }, [field, change]);
    const check = () => browser.ask({ kind: 'check', relay: relay.url, seq });
    for (const [field, signed, promised] of [['ack', true, false], ['fuel', true, false], ['receipt', false, true]]) {
      const before = await falsify(field);
      assert.deepEqual(await check(), { signed, promised }, field);
      await falsify(field, before);
      assert.deepEqual(await check(), { signed: true, promised: true });
    }
    assert.match((await browser.ask({ kind: 'check', relay: relay.url, seq: 10_000 })).failed, /unknown_receipt/);
  },

  async 'settings and key outlive the browser\'s service worker'(t) {
    const browser = await t.browser();
    await browser.change(shares(30));
    const { node } = await browser.view();
    await browser.stopWorker();
    const view = await browser.view();
    assert.deepEqual(view.settings.idle, { cpu: 30, gpu: 30 });
    assert.equal(view.node, node);
  },

  async 'the popup and its words in Firefox'(t) {
    const [relay, browser] = await Promise.all([t.relay(), t.firefox()]);
    await browser.switchOn(relay.url);
    await until('it has joined', async () => (await browser.view()).why === 'no_work', WAIT);
    await accessible(browser.page, 'extension-popup-firefox');
    await browser.click('#stop');
    await until('it is off', async () => (await browser.view()).state === 'off', WAIT);
  },
};
