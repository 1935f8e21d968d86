// The widget on other sites' pages, in Chromium and in Firefox.
import assert from 'node:assert/strict';
import { fresh, hosted, lend, state, tap, visit } from '../lib/lend.mjs';
import { fnv, fnvOf } from '../lib/modules.mjs';
import { ENGINES } from '../lib/pages.mjs';
import { until } from '../lib/wait.mjs';

const tests = {};
for (const engine of ENGINES) {
  tests[`nothing before the click; asks, works, stops (${engine})`] = async t => {
    const { relay, owner, here } = await hosted(t, { counted: true });
    const browser = await fresh(t, engine);
    const made = await visit(browser, `${here}/plain/`, relay);
    assert.deepEqual(made.asked, ['/embed.js']);
    await made.evaluate(() => {
      globalThis.seen = [];
      document.querySelector('grid-node').addEventListener('grid-state', ({ detail }) => seen.push(detail.state));
    });
    const runs = await lend(made);
    const result = await owner.run(fnv(), { stdin: Buffer.from('a visitor') });
    assert.deepEqual(result.files.stdout, fnvOf(Buffer.from('a visitor')));
    await tap(made, runs, '#stop');
    await state(made, 'off');
    await until('the relay has no node', async () => (await relay.network()).nodes_online === 0);
    assert.equal(made.frames().length, 1);
    const seen = await made.evaluate(() => seen);
    assert.deepEqual(seen.slice(0, 2), ['connecting', 'asking']);
    assert.equal(seen.at(-1), 'off');
    assert.deepEqual(made.complaints, []);
  };
}
export default tests;
