// What is killed in the middle of a task.
import assert from 'node:assert/strict';
import { countdown } from '../lib/modules.mjs';
import { until } from '../lib/wait.mjs';

/** A task of some seconds that has begun, and its lease. */
async function begun({ owner, browser }) {
  const { id } = await owner.submit(countdown(600), [{}]);
  await until('the task runs', async () => (await browser.view()).running[0]?.fuel > 0);
  const [{ lease }] = (await browser.view()).running;
  return { id, lease };
}

export default {
  async 'the service worker: the same run goes on and is reported'(t) {
    const network = await t.network();
    const { id, lease } = await begun(network);
    const first = network.browser.worker;
    await network.browser.stopWorker();
    await until('another one is started, by the offscreen document', () => network.browser.worker !== first);
    await until('it knows the run', async () => (await network.browser.view()).running[0]?.lease === lease);
    const [result] = await network.owner.results(id);
    assert.equal(result.reason, 'exit');
    assert.equal(result.lease, lease);
  },

  async 'the service worker, again and again'(t) {
    const network = await t.network();
    const { id, lease } = await begun(network);
    for (let times = 0; times < 3; times += 1) {
      const last = network.browser.worker;
      await network.browser.stopWorker();
      await until('another one', () => network.browser.worker !== last);
      await until('it is on', async () => (await network.browser.view()).settings.on);
    }
    const [result] = await network.owner.results(id);
    assert.equal(result.lease, lease);
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
    const { id, lease } = await begun(network);
    const session = await network.browser.context.browser().newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    await session.detach();
    // The renderer that has used most time is the one that computes.
    const renderers = processInfo.filter(({ type }) => type === 'renderer');
    renderers.sort((a, b) => b.cpuTime - a.cpuTime);
    process.kill(renderers[0].id, 'SIGKILL');
    const [result] = await network.owner.results(id, 90_000);
    assert.equal(result.reason, 'exit');
    assert.notEqual(result.lease, lease);
  },
};
