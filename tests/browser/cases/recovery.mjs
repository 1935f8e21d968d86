// What is killed in the middle of a task.
import assert from 'node:assert/strict';
import { countdown } from '../lib/modules.mjs';
import { until } from '../lib/wait.mjs';

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
};
