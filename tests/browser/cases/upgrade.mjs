// Versions that meet: two of the extension on one relay, which is upgraded while they work.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countdown } from '../lib/modules.mjs';
import { overlay, script } from '../lib/overlay.mjs';
import { until } from '../lib/wait.mjs';

/** Every message, both ways, gets a field that this version doesn't know: to the relay, the node is
 * of a later version, and the relay is to the node. */
const LATER = script(() => {
  const UNKNOWN = [0x18, 0x63, 0x01]; // 99: 1
  const more = buffer => {
    const bytes = new Uint8Array(buffer);
    // [number, {...}] or [number, [{...}]], and a map of few fields.
    const at = bytes[2] === 0x81 ? 3 : 2;
    if (bytes[0] !== 0x82 || bytes[at] < 0xa0 || bytes[at] > 0xb6) return bytes.buffer;
    const longer = Uint8Array.of(...bytes, ...UNKNOWN);
    longer[at] += 1;
    self.widened.push(bytes[1]);
    return longer.buffer;
  };
  self.widened = [];
  const Plain = WebSocket;
  self.WebSocket = class extends Plain {
    send(bytes) {
      const { buffer, byteOffset, byteLength } = bytes;
      super.send(more(buffer ? buffer.slice(byteOffset, byteOffset + byteLength) : bytes));
    }

    set onmessage(listener) {
      super.onmessage = listener && (({ data }) => listener(new MessageEvent('message', { data: more(data) })));
    }
  };
});

/** The relay's program, which says that it is another version. */
function anotherBuild(t, program) {
  const bytes = readFileSync(program);
  const { version } = JSON.parse(readFileSync(join(t.options.dist, 'chrome/manifest.json')));
  const later = version.replace(/^\d/, digit => String((Number(digit) + 1) % 10));
  let changed = 0;
  for (let at = bytes.indexOf(version); at >= 0; at = bytes.indexOf(version, at + 1)) {
    bytes.write(later, at);
    changed += 1;
  }
  assert.ok(changed > 0, `the program doesn't say ${version}`);
  const path = join(t.folder(mkdtempSync(join(tmpdir(), 'grid-build-'))), 'grid-relay');
  writeFileSync(path, bytes, { mode: 0o755 });
  return { path, later };
}

export default {
  async 'two versions of the extension go on working while the relay is upgraded'(t) {
    const extension = overlay(t, { before: { 'service-worker.js': LATER } });
    const manifest = join(extension, 'manifest.json');
    writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(manifest)), version: '99.0.0' }));
    const [relay, ours, later] = await Promise.all([
      t.relay({ believing: true }), t.browser(), t.browser(extension),
    ]);
    const nodes = [ours, later];
    for (const node of nodes) await node.switchOn(relay.url);
    for (const node of nodes) await node.joined();
    const owner = relay.owner();
    const { path, later: version } = anotherBuild(t, relay.binary);
    const { id } = await owner.submit(countdown(400), Array.from({ length: 16 }, (_, index) => ({ '/in/number': `${index}` })));
    const done = async () => Promise.all(nodes.map(async node => (await node.view()).tasks));
    await until('both did something', async () => (await done()).every(count => count > 0), 60_000);

    assert.equal((await owner.job(id)).state, 'running', 'in the middle');
    await relay.upgrade(path);
    assert.equal((await relay.network()).version, version);
    const before = await done();

    const results = await owner.results(id, 120_000);
    assert.ok(results.every(({ reason }) => reason === 'exit'));
    assert.equal(results.length, 16);
    const { spent } = await owner.job(id);
    assert.equal(spent, results.reduce((sum, { fuel }) => sum + fuel, 0), 'each paid once');
    // And later on, both get work from the new relay.
    const next = await owner.submit(countdown(200), Array.from({ length: 6 }, (_, index) => ({ '/in/number': `${index}` })));
    await owner.results(next.id, 120_000);
    const after = await done();
    assert.ok(after.every((count, index) => count > before[index]), `${before} then ${after}`);
    const widened = await later.worker.evaluate(() => new Set(widened).size);
    assert.ok(widened > 3, `kinds of messages that had another field: ${widened}`);
  },
};
