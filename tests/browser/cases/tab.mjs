// A node in a tab of the relay's page, in Chromium and in Firefox.
import assert from 'node:assert/strict';
import { fresh, page, ready, switchOn, tab, view } from '../lib/lend.mjs';
import { fnv, fnvOf } from '../lib/modules.mjs';
import { ENGINES } from '../lib/pages.mjs';
import { until } from '../lib/wait.mjs';

const tests = {};
for (const engine of ENGINES) {
  tests[`nothing before the click, then a task, then nothing (${engine})`] = async t => {
    const relay = await t.relay({ counted: true, believing: true });
    const browser = await fresh(t, engine);
    const made = await tab(browser, relay);
    await ready(made);
    assert.equal((await view(made)).state, 'off');
    assert.equal(relay.sockets, 0);
    await switchOn(made);
    assert.equal(relay.sockets, 1);
    const owner = relay.owner();
    const result = await owner.run(fnv(), { stdin: Buffer.from('a tab') });
    assert.deepEqual(result.files.stdout, fnvOf(Buffer.from('a tab')));
    await until('it counts', async () => (await view(made)).tasks === 1);
    await made.click('#switch');
    await until('the relay has no node', async () => (await relay.network()).nodes_online === 0);
    assert.equal((await view(made)).state, 'off');
    assert.deepEqual(made.complaints, []);
  };
}
export default tests;
