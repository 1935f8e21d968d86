// The package of Firefox that runs modules: in workers of a sandboxed frame of the event page.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { firstWorker, HANG } from './hostile.mjs';
import { EMBED, run } from './infer.mjs';
import { FRAME, reachedNothing, WORKER } from './isolation.mjs';
import { countdown, endless, fnv, fnvOf, trap } from '../lib/modules.mjs';
import { native } from '../lib/native.mjs';
import { overlay, script } from '../lib/overlay.mjs';
import { tinyModels } from '../lib/tiny.mjs';
import { trapServer } from '../lib/trap-server.mjs';
import { until } from '../lib/wait.mjs';

const full = t => join(t.options.dist, 'firefox-full');

/** A relay, an owner, and a Firefox that is on. */
async function network(t, extension = full(t), how = {}) {
  const [relay, browser] = await Promise.all([t.relay(how), t.firefox(extension)]);
  await browser.switchOn(relay.url);
  return { relay, owner: relay.owner(), browser };
}

/** The event page keeps what frame and worker tell. */
const PROBES = script(() => {
  const probes = [];
  addEventListener('message', ({ data }) => {
    if (!data.probe) return;
    probes.push(data.probe);
    chrome.storage.session.set({ probes });
  });
});

export default {
  async 'modules and models run, with native fuel'(t) {
    const { bert } = tinyModels();
    const { owner } = await network(t, full(t), { models: [bert], believing: true });
    const module = fnv(40);
    const result = await owner.run(module, { stdin: 'in Firefox' });
    const expected = await native(t.options.gridBin, module, 'in Firefox');
    assert.deepEqual(result.files, { stdout: fnvOf(Buffer.from('in Firefox'), 40) });
    assert.equal(result.fuel, expected.fuel);
    assert.equal(result.output, expected.output);
    assert.equal((await owner.run(trap())).reason, 'trap');
    await run(owner, bert, 'embed', EMBED);
  },

  async 'neither frame nor worker reaches the network or an API'(t) {
    const trap = await trapServer(t);
    const extension = overlay(t, {
      of: full(t),
      before: {
        'executor-worker.js': WORKER(trap.host),
        'sandbox.js': FRAME(trap.host),
        'frame.js': PROBES,
      },
    });
    const { owner, browser } = await network(t, extension);
    const result = await owner.run(fnv(), { stdin: 'probe' });
    assert.deepEqual(result.files, { stdout: fnvOf(Buffer.from('probe')) });
    const probes = await until('frame and worker are probed', async () => {
      const { probes = [] } = await browser.page.evaluate(() => chrome.storage.session.get('probes'));
      const found = probes.map(text => JSON.parse(text));
      return ['worker', 'frame', 'instance'].every(kind => found.some(probe => probe.kind === kind)) && found;
    }, 60_000);
    for (const kind of ['worker', 'frame']) {
      reachedNothing(kind, probes.find(probe => probe.kind === kind));
    }
    assert.equal(trap.connections, 0, `heard: ${trap.heard}`);
    // The trap does work: a page of the extension may reach any relay.
    await browser.page.evaluate(host => fetch(`http://${host}/`).catch(() => {}), trap.host);
    await until('the trap hears', () => trap.connections > 0);
  },

  async 'a worker that hangs is terminated and the task goes to another'(t) {
    const { relay, owner } = await network(t, firstWorker(t, HANG, full(t)));
    const result = await owner.run(fnv(), { stdin: 'again' }, {}, 120_000);
    assert.deepEqual(result.files, { stdout: fnvOf(Buffer.from('again')) });
    assert.equal(await relay.metric('leases_over', 'device'), 1, await relay.lines('leases'));
  },

  async 'switched off in a task, it gives the lease back, and the frame is gone'(t) {
    const extension = overlay(t, {
      of: full(t),
      after: {
        'event-page.js': script(() => {
          chrome.runtime.onMessage.addListener(({ kind }, sender, reply) => {
            if (kind === 'frames') reply(document.querySelectorAll('iframe').length);
          });
        }),
      },
    });
    const { relay, owner, browser } = await network(t, extension);
    const frames = () => browser.ask({ kind: 'frames' });
    await owner.submit(endless(), [{}], { fuel: 1e12 });
    await until('the task runs', async () => (await browser.view()).running[0]?.fuel > 0);
    assert.equal(await frames(), 1);
    await browser.click('#switch');
    await until('the lease is given back', async () => (await relay.network()).tasks_waiting === 1);
    await until('the frame is gone', async () => await frames() === 0);
    await browser.click('#switch');
    await until('it works again', async () => (await browser.view()).running[0]?.fuel > 0, 60_000);
  },

  async 'the package for Mozilla\'s store says that it runs no modules, and gets none'(t) {
    const { bert } = tinyModels();
    const { relay, owner } = await network(t, t.options.firefox, { models: [bert], believing: true });
    const { id } = await owner.submit(countdown(1), [{}]);
    // A task that it can do comes and goes; the other waits.
    await run(owner, bert, 'embed', EMBED);
    assert.equal((await owner.job(id)).state, 'running');
    assert.equal(await relay.metric('leases_granted'), 1);
  },
};
