// The owner's limits: share, presence, battery.
import assert from 'node:assert/strict';
import { shares } from '../lib/browser.mjs';
import { endless } from '../lib/modules.mjs';
import { BATTERY, IDLE, overlay } from '../lib/overlay.mjs';
import { sleep, until } from '../lib/wait.mjs';

const LONG = { fuel: 1e13 };

/** Fuel a second of the task that runs, over about so many milliseconds. */
async function speed(browser, ms) {
  const sample = async () => {
    const { running } = await browser.view();
    return [running[0].fuel, performance.now()];
  };
  const next = async from => {
    let last = from;
    await until('progress', async () => (last = await sample())[0] > from[0]);
    return last;
  };
  const first = await next(await sample());
  await sleep(ms);
  const last = await next(await sample());
  return (last[0] - first[0]) / (last[1] - first[1]);
}

export default {
  async 'a share of 25% is a quarter of the speed'(t) {
    const { owner, browser } = await t.network({ share: 100 });
    await owner.submit(endless(), [{}], LONG);
    await until('the task runs', async () => (await browser.view()).running[0]?.fuel > 0);
    // Alternating, so that a machine that slows down slows both.
    let full = 0;
    let quarter = 0;
    for (let round = 0; round < 2; round += 1) {
      await browser.change(shares(100));
      full += await speed(browser, 1_500);
      await browser.change(shares(25));
      quarter += await speed(browser, 2_500);
    }
    const share = quarter / full;
    assert.ok(share > 0.15 && share < 0.4, `25% was ${(100 * share).toFixed()}%`);
  },

  async 'it waits while the device is in use, pauses when its owner comes, and goes on'(t) {
    const extension = overlay(t, { before: { 'service-worker.js': IDLE } });
    const { relay, owner, browser } = await t.network({ extension, idleOnly: true });
    const setIdle = state => browser.worker.evaluate(state => setIdle(state), state);
    await owner.submit(endless(), [{}], LONG);
    await until('it says why it waits', async () => (await browser.view()).why === 'device_in_use');
    assert.equal((await relay.network()).tasks_waiting, 1);

    await setIdle('idle');
    const runs = async () => (await browser.view()).running[0]?.fuel > 0;
    await until('it works', runs);
    const [{ lease }] = (await browser.view()).running;

    await setIdle('active');
    await until('it pauses', async () => (await browser.view()).state === 'paused');
    await sleep(300); // What the slice that was running reports.
    const [{ fuel }] = (await browser.view()).running;
    await sleep(1_000);
    assert.equal((await browser.view()).running[0].fuel, fuel, 'it burnt fuel while paused');

    await setIdle('locked');
    await until('it goes on', async () => (await browser.view()).running[0].fuel > fuel);
    assert.equal((await browser.view()).running[0].lease, lease, 'with the same lease');
  },

  async 'it waits on battery'(t) {
    const extension = overlay(t, { before: { 'offscreen.js': BATTERY } });
    const { relay, owner, browser } = await t.network({ extension });
    const charging = charging =>
      browser.worker.evaluate(charging => void chrome.runtime.sendMessage({ kind: 'battery', charging }), charging);
    await until('it knows', async () => (await browser.view()).why === 'on_battery');
    await owner.submit(endless(), [{}], LONG);
    assert.equal((await relay.network()).nodes_online, 0, 'it did not even connect');
    await charging(true);
    await until('it works', async () => (await browser.view()).running[0]?.fuel > 0);
    await charging(false);
    await until('it pauses', async () => (await browser.view()).state === 'paused');
    await browser.change({ on_battery: true });
    await until('it may', async () => (await browser.view()).state === 'working');
  },
};
