// The options page.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { accessible } from '../lib/accessible.mjs';
import { fnv } from '../lib/modules.mjs';
import { overlay, script } from '../lib/overlay.mjs';
import { until } from '../lib/wait.mjs';

const WAIT = 30_000;

export default {
  async 'everything can be set, with the keyboard alone'(t) {
    const browser = await t.browser();
    const page = await browser.options();
    const settings = async (what, holds) => until(what, async () => holds((await browser.view()).settings), WAIT);
    const press = async (selector, ...keys) => {
      await page.locator(selector).focus();
      for (const key of keys) await page.keyboard.press(key);
    };
    await press('#idle_cpu', 'ArrowLeft');
    await settings('less while idle', ({ idle }) => idle.cpu === 45 && idle.gpu === 50);
    await press('#in_use_cpu', 'ArrowRight', 'ArrowRight');
    await settings('some while in use', ({ in_use: inUse }) => inUse.cpu === 10 && inUse.gpu === 0);
    await press('#in_use_gpu', 'End');
    await settings('all of the GPU', ({ in_use: inUse }) => inUse.cpu === 10 && inUse.gpu === 100);
    await press('#mains', 'Space');
    await settings('on battery too', ({ on_battery: onBattery }) => onBattery);
    await press('#timed', 'Space');
    await settings('at night', ({ hours }) => hours?.from === 1320 && hours.to === 360 && hours.days === 127);
    await page.locator('#from').fill('08:30');
    await page.locator('#days input').nth(6).press('Space');
    await settings('not on Sunday', ({ hours }) => hours.from === 510 && hours.days === 63);
    await press('#timed', 'Space');
    await settings('at any hour', ({ hours }) => hours === null);
    await press('#inference', 'Space');
    await settings('no AI', ({ inference }) => !inference);
    await page.locator('#models_mib').fill('77');
    await page.keyboard.press('Tab');
    await settings('a quota', ({ models_mib: quota }) => quota === 77);
    await page.locator('#relay').fill('no address');
    await page.keyboard.press('Tab');
    await page.locator('#relay').fill('http://127.0.0.1:9');
    await page.keyboard.press('Tab');
    await settings('a relay', ({ relay }) => relay === 'http://127.0.0.1:9');
    await until('the page shows what holds', async () =>
      await page.locator('#in_use_cpu + output').textContent() === '10%', WAIT);
    // Another page of the extension changes other fields, and neither undoes the other.
    await browser.change({ models_mib: 78 });
    await press('#in_use_cpu', 'ArrowRight');
    await settings('both', ({ in_use: inUse, models_mib: quota }) => inUse.cpu === 15 && quota === 78);
    await page.locator('#timed').check();
    await accessible(page, 'extension-settings');
    await page.setViewportSize({ width: 390, height: 844 });
    await accessible(page, 'extension-settings-phone');
  },

  async 'in Firefox, which does not tell of the power supply'(t) {
    const browser = await t.firefox();
    const page = await browser.options();
    assert.equal(await page.$eval('#mains', input => input.disabled), true);
    assert.match(await page.$eval('#mains_hint', hint => hint.textContent), /doesn't tell/);
    await page.click('#timed');
    await until('hours are taken', async () => (await browser.view()).settings.hours?.days === 127, WAIT);
    await accessible(page, 'extension-settings-firefox');
  },

  async 'it saves acknowledgements that an audit takes'(t) {
    const { relay, owner, browser } = await t.network();
    await browser.joined();
    await owner.run(fnv(), { stdin: 'one' });
    await owner.run(fnv(), { stdin: 'two' });
    const folder = t.folder(mkdtempSync(join(tmpdir(), 'grid-acks-')));
    const saved = async name => {
      const page = await browser.options();
      const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#acks').click()]);
      const file = join(folder, name);
      await download.saveAs(file);
      await page.close();
      return [file, JSON.parse(readFileSync(file, 'utf8'))];
    };
    await until('both are acknowledged', async () => (await browser.ask({ kind: 'acks' })).length === 2, WAIT);
    const [file, acks] = await saved('acks.json');
    assert.equal(acks.length, 2);
    assert.ok(acks.every(({ ack, signature }) => ack.seq > 0 && signature.length === 128));
    const audit = file => promisify(execFile)(t.options.gridBin, ['audit', relay.url, '--ack', file], {
      env: { ...process.env, XDG_CACHE_HOME: folder, XDG_DATA_HOME: folder, XDG_STATE_HOME: folder },
    });
    await audit(file);
    // One that the relay didn't sign proves nothing.
    acks[0].ack.seq += 1;
    const forged = join(folder, 'forged.json');
    writeFileSync(forged, JSON.stringify(acks));
    await assert.rejects(audit(forged), /not signed/);
    // They outlive the service worker.
    await browser.stopWorker();
    assert.equal((await saved('again.json'))[1].length, 2);
  },

  async 'storage is full: the node says so, and works'(t) {
    const extension = overlay(t, {
      before: {
        'service-worker.js': script(() => {
          const set = chrome.storage.local.set.bind(chrome.storage.local);
          chrome.storage.local.set = async values => {
            if (self.full) throw new Error('QUOTA_BYTES quota exceeded');
            return set(values);
          };
        }),
      },
    });
    const { owner, browser } = await t.network({ extension });
    await browser.joined();
    await browser.worker.evaluate(() => (self.full = true));
    const result = await owner.run(fnv(), { stdin: 'one' });
    assert.equal(result.reason, 'exit');
    await browser.page.waitForSelector('#trouble:not([hidden])');
    await until('it names the cause', async () =>
      (await browser.page.locator('#trouble').textContent()).includes('QUOTA_BYTES'), WAIT);
    // Settings hold, though they can't be kept.
    await browser.change({ models_mib: 5 });
    assert.equal((await browser.view()).settings.models_mib, 5);
    await browser.worker.evaluate(() => (self.full = false));
    await browser.change({ models_mib: 6 });
    await until('the trouble is over', async () => (await browser.view()).trouble === null, WAIT);
  },

  async 'storage is refused: the node works under a key that ends with it, and spoils nothing'(t) {
    const extension = overlay(t, {
      before: {
        'service-worker.js': script(() => {
          const refuse = async () => {
            throw new Error('storage is refused');
          };
          self.allowed = { get: chrome.storage.local.get, set: chrome.storage.local.set };
          Object.assign(chrome.storage.local, { get: refuse, set: refuse });
        }),
      },
    });
    const { owner, browser } = await t.network({ extension });
    await browser.joined();
    assert.equal((await owner.run(fnv(), { stdin: 'one' })).reason, 'exit');
    assert.match((await browser.view()).trouble, /storage is refused/);
    const kept = await browser.worker.evaluate(() => allowed.get.call(chrome.storage.local, null));
    assert.deepEqual(kept, {}, 'nothing was written behind its back');
  },

  async 'links to a relay whose address was typed with a slash'(t) {
    const [relay, browser] = await Promise.all([t.relay(), t.browser()]);
    await browser.change({ relay: `${relay.url}/` });
    const popup = await browser.popup();
    const { node } = await browser.view();
    await until('it links to the node', async () =>
      await popup.locator('#network').getAttribute('href') === `${relay.url}/#/node/${node}`, WAIT);
    const page = await browser.options();
    const [opened] = await Promise.all([
      browser.context.waitForEvent('page'), page.locator('#pages_know').click(),
    ]);
    await until('the page is there', () => opened.url().startsWith(`${relay.url}/node/`), WAIT);
    await opened.locator('#extension').waitFor({ timeout: WAIT });
  },
};
