// What is killed in the middle of a task.
import assert from 'node:assert/strict';
import { countdown, fnv } from '../lib/modules.mjs';
import { CLOCK, overlay, script } from '../lib/overlay.mjs';
import { until } from '../lib/wait.mjs';

const WAIT = 30_000;

/** A task of some seconds that has begun, and its lease. */
async function begun({ owner, browser }, millions = 2_000) {
  const { id } = await owner.submit(countdown(millions), [{}]);
  await until('the task runs', async () => (await browser.view()).running[0]?.fuel > 0);
  const [{ lease }] = (await browser.view()).running;
  // An open popup asks for the status, which would start a stopped service
  // worker. What these tests want to know, they ask the relay.
  await browser.closePopup();
  return { id, lease };
}

export default {
  async 'the service worker: the offscreen document starts another, the same run goes on'(t) {
    const network = await t.network({ counted: true });
    const { id } = await begun(network);
    await network.browser.stopWorker();
    await until('the node is back', () => network.relay.sockets === 2);
    assert.equal((await network.owner.job(id)).state, 'running', 'not only for the result');
    const [result] = await network.owner.results(id);
    assert.equal(result.reason, 'exit');
    assert.equal(await network.relay.metric('leases_granted'), 1);
  },

  async 'the service worker, again and again'(t) {
    const network = await t.network({ counted: true });
    const { id } = await begun(network, 3_000);
    for (let times = 1; times <= 3; times += 1) {
      await network.browser.stopWorker();
      await until('the node is back', () => network.relay.sockets === times + 1);
    }
    const [result] = await network.owner.results(id);
    assert.equal(result.reason, 'exit');
    assert.equal(await network.relay.metric('leases_granted'), 1);
  },

  async 'the relay: the node comes back and reports the run'(t) {
    const network = await t.network();
    const { id } = await begun(network);
    await network.relay.crash();
    const [result] = await network.owner.results(id, 90_000);
    assert.equal(result.reason, 'exit');
    assert.equal((await network.owner.job(id)).spent, result.fuel, 'paid once');
  },

  async 'the offscreen document: the lease is given back and taken again'(t) {
    const network = await t.network();
    const { id, lease } = await begun(network);
    await network.browser.worker.evaluate(() => chrome.offscreen.closeDocument());
    const [result] = await network.owner.results(id, 90_000);
    assert.equal(result.reason, 'exit');
    assert.notEqual(result.lease, lease);
  },

  async 'the process of the sandbox: the lease is given back and taken again'(t) {
    const network = await t.network();
    // Long enough that it can't end before it is found and killed.
    const { id, lease } = await begun(network, 4_000);
    // The process that uses most time now is the one that computes.
    const before = await network.browser.cpu();
    const used = ([id, time]) => time - (before.get(id) ?? 0);
    const [computes] = await until('it computes', async () => {
      const [most, next] = [...await network.browser.cpu()].sort((a, b) => used(b) - used(a));
      return used(most) > 0.5 && used(most) > 2 * used(next) && most;
    });
    process.kill(computes, 'SIGKILL');
    const [result] = await network.owner.results(id, 90_000);
    assert.equal(result.reason, 'exit');
    assert.notEqual(result.lease, lease);
  },

  async 'an hour without a relay: it asks now and then, is back within a minute, and is paid once'(t) {
    const attempts = script(() => {
      self.attempts = [];
      const Plain = WebSocket;
      self.WebSocket = class extends Plain {
        constructor(url) {
          super(url);
          self.attempts.push(Date.now());
        }
      };
    });
    const extension = overlay(t, { before: { 'service-worker.js': `${CLOCK}\n${attempts}` } });
    const { relay, owner, browser } = await t.network({ extension });
    const inside = (f, given) => browser.worker.evaluate(f, given);
    await browser.joined();
    const { fuel: before } = await owner.run(fnv(), { stdin: 'before' });
    const { id } = await owner.submit(countdown(1_000), [{}]);
    await until('the task runs', async () => (await browser.view()).running[0]?.fuel > 0, WAIT);
    relay.process.kill('SIGKILL');
    await relay.ended;
    await until('it is finished, and nobody is told', async () => {
      const { running, why } = await browser.view();
      return !running.length && why === 'unreachable';
    }, WAIT);

    const [gone, asked] = await inside(() => [Date.now(), attempts.length]);
    await inside(() => clock.speed(120));
    await until('an hour passes', () => inside(gone => Date.now() - gone > 3_600_000, gone), 90_000, 500);
    await inside(() => clock.speed(1));
    const times = await inside(() => attempts);
    const count = times.length - asked;
    // Every 30 to 60 s; a busy machine sees fewer.
    assert.ok(count > 10 && count < 130, `it asked ${count} times`);
    assert.ok(times.slice(asked + 1).every((at, index) => at - times[asked + index] >= 1_000), 'it waits');
    await until('it says so', async () => (await browser.view()).why === 'unreachable', WAIT);

    await relay.serve(relay.address);
    await inside(() => clock.leap(60_000));
    // At once, or, where the leap came into an attempt that Chromium delays after so many, a minute later.
    await until('it is back', async () => (await browser.view()).state === 'waiting', 90_000);
    assert.equal((await relay.network()).nodes_online, 1);
    const [result] = await owner.results(id);
    assert.equal(result.reason, 'exit');
    assert.equal((await owner.job(id)).spent, result.fuel, 'paid once');
    const { fuel: after } = await owner.run(fnv(), { stdin: 'after' });
    await until('all are counted', async () => (await browser.view()).tasks === 3, WAIT);
    assert.equal(Math.round((await browser.view()).points * 1e9), before + result.fuel + after);
    assert.equal((await browser.ask({ kind: 'acks' })).length, 3);
    const joined = await inside(() => attempts.length);
    assert.ok(joined - times.length <= 3, `one connection, after ${joined - times.length}`);
  },
};
