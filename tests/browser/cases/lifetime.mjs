// How long the service worker lives, in a browser that no debugger holds up.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromiumPath } from '../lib/args.mjs';
import { FLAGS } from '../lib/browser.mjs';
import { countdown } from '../lib/modules.mjs';
import { overlay, script } from '../lib/overlay.mjs';
import { until } from '../lib/wait.mjs';

/** Chromium ends an idle service worker after 30 s. */
const IDLE_MS = 40_000;

export default {
  async 'it stays while it is on, and works afterwards'(t) {
    const relay = await t.relay({ counted: true });
    let starts = 0;
    const counter = createServer((_, answer) => {
      starts += 1;
      answer.setHeader('access-control-allow-origin', '*').end();
    });
    await new Promise(ready => counter.listen(0, '127.0.0.1', ready));
    t.after(() => {
      counter.closeAllConnections();
      counter.close();
    });
    const extension = overlay(t, {
      before: {
        'service-worker.js': script((count, settings) => {
          fetch(count);
          const get = chrome.storage.local.get.bind(chrome.storage.local);
          chrome.storage.local.get = async key => ({ settings, ...await get(key) });
        }, `http://127.0.0.1:${counter.address().port}/`, {
          on: true, relay: relay.url, share: 100, idle_only: false, on_battery: true,
        }),
      },
    });
    // A browser's processes end one after the other and write until then:
    // removing the folder is tried again.
    const profile = t.folder(mkdtempSync(join(tmpdir(), 'grid-chromium-')));
    const browser = spawn(chromiumPath(), [
      ...FLAGS, `--user-data-dir=${profile}`, `--disable-extensions-except=${extension}`,
      `--load-extension=${extension}`, 'about:blank',
    ], { stdio: 'ignore' });
    const ended = new Promise(done => browser.once('exit', done));
    t.after(() => {
      browser.kill('SIGTERM');
      return ended;
    });

    const online = async () => (await relay.network()).nodes_online;
    await until('the node joins', async () => await online() === 1);
    const joined = Date.now();
    await until('an idle one would be dead', () => Date.now() - joined > IDLE_MS, 2 * IDLE_MS, 1_000);
    assert.equal(await online(), 1);
    const result = await relay.owner().run(countdown(1));
    assert.equal(result.reason, 'exit');
    assert.equal(relay.sockets, 1, 'one socket all the time');
    assert.equal(starts, 1, 'one service worker all the time');
  },
};
