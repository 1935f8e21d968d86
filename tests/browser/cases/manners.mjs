// How little its owner feels of it. bench-manners.mjs measures how a page feels.
import assert from 'node:assert/strict';
import { desk, percentile, use } from '../lib/hands.mjs';
import { endless } from '../lib/modules.mjs';
import { IDLE, overlay } from '../lib/overlay.mjs';
import { sleep, until } from '../lib/wait.mjs';

const WAIT = 30_000;
const LONG = { fuel: 1e14 };

/** CPU seconds of the processes that run scripts. */
const scripts = async browser => {
  const { processInfo } = await browser.command('SystemInfo.getProcessInfo');
  return processInfo.filter(({ type }) => type === 'renderer').reduce((sum, { cpuTime }) => sum + cpuTime, 0);
};

/** The share of a core that they use over so many milliseconds. */
async function load(browser, ms) {
  const [before, began] = [await scripts(browser), performance.now()];
  await sleep(ms);
  return (await scripts(browser) - before) / ((performance.now() - began) / 1_000);
}

const quiet = (browser, what) =>
  until(`${what} draws no CPU`, async () => await load(browser, 3_000) < 0.01, 60_000, 0);

export default {
  async 'its owner comes back: nothing runs within two seconds, and nothing draws CPU'(t) {
    const extension = overlay(t, { before: { 'service-worker.js': IDLE } });
    const { owner, browser } = await t.network({ extension, idleOnly: true });
    const setIdle = state => browser.worker.evaluate(state => setIdle(state), state);
    await owner.submit(endless(), [{}], LONG);
    await setIdle('idle');
    await until('it works', async () => (await browser.view()).running[0]?.fuel > 0, WAIT);
    await browser.closePopup();
    await until('it takes a core', async () => await load(browser, 500) > 0.4, WAIT, 0);
    const came = performance.now();
    await setIdle('active');
    await until('nothing runs', async () => await load(browser, 150) < 0.1, WAIT, 0);
    const took = performance.now() - came;
    assert.ok(took < 2_000, `it took ${took.toFixed()} ms`);
    console.log(`  at rest ${took.toFixed()} ms after its owner came`);
    await quiet(browser, 'a paused task');
    await until('the lease is given back', async () => (await browser.view()).running.length === 0, 60_000);
    await browser.closePopup();
    await quiet(browser, 'a paused node');
  },

  async 'its owner comes back, and it goes on with less'(t) {
    const extension = overlay(t, { before: { 'service-worker.js': IDLE } });
    const { owner, browser } = await t.network({ extension });
    const setIdle = state => browser.worker.evaluate(state => setIdle(state), state);
    await browser.change({ in_use: { cpu: 5, gpu: 0 } });
    await owner.submit(endless(), [{}], LONG);
    await setIdle('idle');
    await until('it works', async () => (await browser.view()).running[0]?.fuel > 0, WAIT);
    const [{ lease }] = (await browser.view()).running;
    await browser.closePopup();
    await until('it takes a core', async () => await load(browser, 500) > 0.4, WAIT, 0);
    const came = performance.now();
    await setIdle('active');
    await until('it takes little', async () => await load(browser, 300) < 0.2, WAIT, 0);
    const took = performance.now() - came;
    assert.ok(took < 2_000, `it took ${took.toFixed()} ms`);
    const { state, running } = await browser.view();
    assert.deepEqual([state, running[0].lease], ['working', lease], 'with the same lease');
  },

  async 'a snooze draws no CPU'(t) {
    const { owner, browser } = await t.network();
    await owner.submit(endless(), [{}], LONG);
    await until('it works', async () => (await browser.view()).running[0]?.fuel > 0, WAIT);
    await browser.change({ snooze_until: Date.now() + 900_000 });
    await until('it pauses', async () => (await browser.view()).why === 'snoozed', WAIT);
    await browser.closePopup();
    await quiet(browser, 'a snooze');
  },

  async 'a page under somebody\'s hands is hardly slower'(t) {
    const { owner, browser } = await t.network();
    await browser.change({ in_use: { cpu: 25, gpu: 0 }, idle: { cpu: 25, gpu: 0 } });
    const page = await desk(browser.context);
    await owner.submit(endless(), [{}], LONG);
    await until('it works', async () => (await browser.view()).running[0]?.fuel > 0, WAIT);
    await use(page, 1_000);
    const on = await use(page, 5_000);
    await browser.change({ on: false });
    await until('it is off', async () => (await browser.view()).state === 'off', WAIT);
    const off = await use(page, 5_000);
    assert.ok(on.length > 50 && off.length > 50, `${on.length}, ${off.length} events`);
    // A bound for a machine that does other things too; the benchmark has the figure.
    const [with95, without] = [on, off].map(values => percentile(values, 95));
    assert.ok(with95 < 2 * without + 50, `p95 ${with95.toFixed()} ms on, ${without.toFixed()} ms off`);
  },
};
