// What the popup says.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { endless, fnv } from '../lib/modules.mjs';
import { IDLE, overlay } from '../lib/overlay.mjs';
import { trapServer } from '../lib/trap-server.mjs';
import { until } from '../lib/wait.mjs';

/** GRID_SHOTS names a folder for pictures of each state, to look at. */
async function picture(popup, name) {
  if (!process.env.GRID_SHOTS) return;
  mkdirSync(process.env.GRID_SHOTS, { recursive: true });
  for (const colorScheme of ['light', 'dark']) {
    await popup.emulateMedia({ colorScheme });
    await popup.screenshot({ path: join(process.env.GRID_SHOTS, `${name}-${colorScheme}.png`) });
  }
}

export default {
  async 'it says the state and the reason in words'(t) {
    const trap = await trapServer(t);
    const extension = overlay(t, { before: { 'service-worker.js': IDLE } });
    const words = JSON.parse(readFileSync(join(extension, '_locales/en/messages.json'), 'utf8'));
    const [relay, browser] = await Promise.all([t.relay(), t.browser(extension)]);
    const owner = relay.owner();
    const popup = (browser.page = await browser.popup());
    const says = async (state, why) => {
      const expected = [words[`state_${state}`].message, words[`why_${why}`].message];
      await until(`the popup says ${state}, ${why}`, async () => {
        const shown = [await popup.locator('#word').textContent(), await popup.locator('#why').textContent()];
        return shown.join() === expected.join();
      });
      await picture(popup, `${state}-${why}`);
    };
    await says('off', 'switched_off');
    await browser.switchOn(`http://${trap.host}`, { share: 50, idleOnly: true });
    await says('paused', 'device_in_use');
    await browser.worker.evaluate(() => setIdle('idle'));
    await says('connecting', 'unreachable');
    await popup.locator('#relay').fill('ftp://nowhere');
    await popup.locator('#relay').blur();
    await says('connecting', 'bad_address');
    await popup.locator('#relay').fill(relay.url);
    await popup.locator('#relay').blur();
    await says('waiting', 'no_work');
    await owner.submit(endless(), [{}], { fuel: 3e9 });
    await until('a bar moves', async () => await popup.locator('progress').evaluate(bar => bar.value) > 0);
    await says('working', 'working');
    await until('the task is counted', async () => await popup.locator('#tasks').textContent() === '1');
    assert.equal(await popup.locator('#points').textContent(), '3');
    const { node } = await browser.view();
    assert.equal(await popup.locator('#node').textContent(), node.slice(0, 8));
  },

  async 'it works with the keyboard, and everything has a name'(t) {
    const browser = await t.browser();
    const popup = await browser.popup();
    const names = [];
    for (let at = 0; at < 8; at += 1) {
      await popup.keyboard.press('Tab');
      names.push(await popup.evaluate(() => {
        const { id, labels, textContent } = document.activeElement;
        return [id, (labels?.[0]?.textContent ?? textContent).trim().length > 0];
      }));
    }
    const order = ['switch', 'share', 'idle_only', 'on_battery', 'inference', 'models_mib', 'relay', 'acks'];
    assert.deepEqual(names, order.map(id => [id, true]));
    await popup.locator('#switch').focus();
    await popup.keyboard.press('Space');
    await until('the switch is on', async () => (await browser.view()).settings.on);
    assert.equal(await popup.locator('#switch').getAttribute('aria-checked'), 'true');
    await popup.locator('#share').focus();
    await popup.keyboard.press('ArrowLeft');
    await until('the share is less', async () => (await browser.view()).settings.share === 45);
  },

  async 'it saves acknowledgements that an audit takes'(t) {
    const { relay, owner, browser } = await t.network();
    await browser.joined();
    await owner.run(fnv(), { stdin: 'one' });
    await owner.run(fnv(), { stdin: 'two' });
    const folder = t.folder(mkdtempSync(join(tmpdir(), 'grid-acks-')));
    const saved = async name => {
      const popup = await browser.popup();
      const [download] = await Promise.all([
        popup.waitForEvent('download'),
        popup.locator('#acks').click(),
      ]);
      const file = join(folder, name);
      await download.saveAs(file);
      await popup.close();
      return [file, JSON.parse(readFileSync(file, 'utf8'))];
    };
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

  async 'settings and key outlive the browser\'s service worker'(t) {
    const browser = await t.browser();
    const popup = (browser.page = await browser.popup());
    await popup.locator('#share').fill('30');
    await until('the share is taken', async () => (await browser.view()).settings.share === 30);
    const { node } = await browser.view();
    await browser.stopWorker();
    const view = await browser.view();
    assert.equal(view.settings.share, 30);
    assert.equal(view.node, node);
  },
};
