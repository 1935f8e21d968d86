// Real jobs, with outputs and fuel that must be right.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { sha256 } from '../lib/files.mjs';
import { copy, fnv, fnvOf } from '../lib/modules.mjs';
import { native } from '../lib/native.mjs';

export default {
  async 'several tasks give the right outputs, and native fuel'(t) {
    const { owner, browser } = await t.network();
    const module = fnv(40);
    const inputs = [0, 1, 10, 1_000, 50_000, 300_000].map(size => randomBytes(size));
    const { id } = await owner.submit(module, inputs.map(stdin => (stdin.length ? { stdin } : {})));
    const results = await owner.results(id);
    assert.equal(results.length, inputs.length);
    for (const [index, stdin] of inputs.entries()) {
      const result = results[index];
      assert.equal(result.reason, 'exit');
      assert.deepEqual(result.files, { stdout: fnvOf(stdin, 40) });
      const expected = await native(t.options.gridBin, module, stdin);
      assert.equal(result.fuel, expected.fuel, `fuel of ${stdin.length} bytes`);
      assert.equal(result.output, expected.output);
      assert.equal(result.spec, expected.spec);
    }
    const view = await browser.view();
    assert.equal(view.tasks, inputs.length);
    assert.equal(results.every(({ node }) => node === view.node), true);
  },

  async 'large inputs are fetched and large outputs uploaded'(t) {
    const { owner } = await t.network();
    const stdin = randomBytes(3_000_000);
    const result = await owner.run(copy(), { stdin });
    assert.equal(result.reason, 'exit');
    assert.equal(sha256(result.files.stdout), sha256(stdin));
  },
};
