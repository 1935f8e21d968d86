// The switch.
import assert from 'node:assert/strict';
import { settingsOf } from '../lib/browser.mjs';
import { endless } from '../lib/modules.mjs';
import { trapServer } from '../lib/trap-server.mjs';
import { until } from '../lib/wait.mjs';

/** CPU seconds of all of the browser's processes. */
const cpuSeconds = async browser => [...(await browser.cpu()).values()].reduce((a, b) => a + b, 0);

export default {
  async 'nothing runs and no socket opens before it'(t) {
    const trap = await trapServer(t);
    const browser = await t.browser();
    const popup = (browser.page = await browser.popup());
    await browser.change({ ...settingsOf(`http://${trap.host}`), snooze_until: 0 });
    // What would start it if anything did.
    await browser.worker.evaluate(async () => {
      const started = await node;
      for (const state of ['active', 'idle', 'locked']) started.idle(state);
      started.wake(false);
    });
    const quiet = await browser.worker.evaluate(async () => ({
      document: await chrome.offscreen.hasDocument(),
      alarms: (await chrome.alarms.getAll()).length,
    }));
    assert.deepEqual(quiet, { document: false, alarms: 0 });
    assert.equal((await browser.view()).state, 'off');
    assert.equal(trap.connections, 0);
    await popup.locator('#switch').click();
    await until('the switch opens a socket', () => trap.connections > 0);
  },

  async 'switched off in a task, it gives the lease back and stops'(t) {
    const { relay, owner, browser } = await t.network();
    const { id } = await owner.submit(endless(), [{}], { fuel: 1e12 });
    await until('the task runs', async () => (await browser.view()).running[0]?.fuel > 0);
    const off = Date.now();
    await browser.page.locator('#switch').click();
    await until('the lease is given back', async () => (await relay.network()).tasks_waiting === 1, 2_000);
    await until('the sandbox is gone', async () =>
      !await browser.worker.evaluate(() => chrome.offscreen.hasDocument()), 2_000);
    let last = [await cpuSeconds(browser), Date.now()];
    await until('the browser is at rest', async () => {
      const now = [await cpuSeconds(browser), Date.now()];
      const busy = (now[0] - last[0]) / ((now[1] - last[1]) / 1_000);
      last = now;
      return busy < 0.5;
    }, Math.max(500, off + 2_000 - Date.now()), 400);
    assert.equal((await owner.job(id)).state, 'running');
    assert.equal((await browser.view()).state, 'off');
  },
};
