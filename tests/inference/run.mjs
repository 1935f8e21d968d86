// The worker that infers, in Chromium and Firefox, against the same tasks run natively:
// `node run.mjs`. The page plays the supervisor, the server the relay.
// `--measure` loads the real models and says how long they take.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { natively, parts, realModel, tinyModels } from '../browser/lib/tiny.mjs';
import { Rig } from '../engines/lib/rig.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const { values: given } = parseArgs({
  options: {
    extension: { type: 'string', default: join(here, '../../dist/chrome/') },
    measure: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
  },
});

const PAGE = '/inference/page.mjs';
/** Numbers of the protocol's reasons for giving back. */
const STOPPED = 1;
const FETCH = 3;
const UNABLE = 4;
const EMBED = { texts: ['a text of letters', 'another one', 'z'] };
const GENERATE = { prompt: 'abc', max_tokens: 60 };
const LONG = { prompt: 'abc', max_tokens: 400 };

/** A model on the server, which counts what is asked of it. */
class Served {
  asked = [];
  /** Gives other bytes for a part. */
  spoil = new Map();

  constructor(rig, file) {
    this.file = file;
    const { header, blocks } = parts(file);
    this.digest = natively(file, 'embed', {}).model;
    this.bytes = Math.ceil(header.length / 64) * 64 + blocks.reduce((sum, b) => sum + b.length, 0);
    this.begins = Math.ceil(header.length / 64) * 64;
    const serve = (name, bytes) => rig.serve(`/v1/models/${this.digest}/${name}`, () => {
      this.asked.push(name);
      return this.spoil.get(name)?.(bytes) ?? bytes;
    });
    serve('header', header);
    blocks.forEach((block, number) => serve(`blocks/${number}`, block));
    this.names = ['header', ...blocks.map((_, number) => `blocks/${number}`)];
  }

  /** What was asked since the last time. */
  since() {
    return this.asked.splice(0);
  }
}

/** The bytes with one changed. */
const changed = bytes => {
  const copy = Buffer.from(bytes);
  copy[copy.length >> 1] ^= 1;
  return copy;
};

function same(result, expected) {
  assert.equal(result.failed, undefined, result.why);
  const { output, check, fuel } = result;
  assert.deepEqual({ output, check, fuel }, {
    output: expected.output, check: expected.check, fuel: expected.fuel,
  });
}

const TESTS = {
  async 'embeddings and text are those of a native run'({ run, llama, bert }) {
    same(await run(bert, 'embed', EMBED), natively(bert.file, 'embed', EMBED));
    for (const temperature of [0, 900]) {
      const request = { ...GENERATE, temperature };
      const expected = natively(llama.file, 'generate', request);
      const result = await run(llama, 'generate', request);
      same(result, expected);
      const { text } = JSON.parse(expected.stdout);
      assert.ok(text.startsWith(result.text) && result.pieces > 10, 'the text came in pieces');
    }
    const refused = natively(bert.file, 'generate', GENERATE);
    const result = await run(bert, 'generate', GENERATE);
    same(result, refused);
    assert.equal(result.exit, 1);
  },

  async 'a right draft and a wrong one give the same answer'({ run, llama }) {
    const expected = natively(llama.file, 'generate', GENERATE);
    same(await run(llama, 'generate', GENERATE, { draft: expected.stdout }), expected);
    const wrong = JSON.parse(expected.stdout);
    wrong.tokens[wrong.tokens.length >> 1] ^= 1;
    same(await run(llama, 'generate', GENERATE, { draft: JSON.stringify(wrong) }), expected);
    same(await run(llama, 'generate', GENERATE, { draft: '{"tokens": [1e9]}' }), expected);
    const long = natively(llama.file, 'generate', LONG);
    const plain = await run(llama, 'generate', LONG);
    const checked = await run(llama, 'generate', LONG, { draft: long.stdout });
    same(checked, long);
    // Seven passes instead of four hundred.
    assert.ok(checked.workMs < plain.workMs, `${checked.workMs} ms and ${plain.workMs} ms`);
  },

  async 'what is kept is not fetched again, by another worker neither'({ run, start, llama }) {
    const expected = natively(llama.file, 'generate', GENERATE);
    same(await run(llama, 'generate', GENERATE), expected);
    assert.deepEqual(llama.since().sort(), [...llama.names].sort());
    same(await run(llama, 'generate', GENERATE), expected);
    await start();
    const again = await run(llama, 'generate', GENERATE);
    same(again, expected);
    assert.deepEqual(llama.since(), []);
    assert.deepEqual(again.models, [[llama.digest, 'tiny llama']]);
    const [, loaded, total] = again.loading.at(-1);
    assert.ok(loaded === total && total > 1e6);
  },

  async 'a changed block is refused, and what came before it is kept'({ run, llama }) {
    const last = llama.names.at(-1);
    llama.spoil.set(last, changed);
    const refused = await run(llama, 'generate', GENERATE);
    assert.equal(refused.failed, FETCH);
    assert.match(refused.why, /block 1/);
    assert.deepEqual(refused.models, [], 'it is not announced');
    llama.spoil.clear();
    llama.since();
    same(await run(llama, 'generate', GENERATE), natively(llama.file, 'generate', GENERATE));
    assert.deepEqual(llama.since(), [last]);
  },

  async 'a changed header, a missing block, too many bytes are refused'({ run, llama }) {
    const spoils = [['header', changed], ['blocks/0', bytes => Buffer.concat([bytes, bytes])]];
    for (const [name, spoil] of spoils) {
      llama.spoil.clear();
      llama.spoil.set(name, spoil);
      assert.equal((await run(llama, 'generate', GENERATE)).failed, FETCH, name);
    }
    llama.spoil.clear();
    llama.spoil.set('blocks/1', () => { throw new Error('gone'); });
    assert.equal((await run(llama, 'generate', GENERATE)).failed, FETCH);
  },

  async 'damage on the device is mended'({ run, damage, llama }) {
    const expected = natively(llama.file, 'generate', GENERATE);
    same(await run(llama, 'generate', GENERATE), expected);
    llama.since();
    await damage(llama, llama.begins + 1_000);
    same(await run(llama, 'generate', GENERATE), expected);
    assert.deepEqual(llama.since(), ['blocks/0']);
    await damage(llama, 100);
    same(await run(llama, 'generate', GENERATE), expected);
    assert.deepEqual(llama.since(), ['header']);
  },

  async 'a full shelf loses what was used longest ago; what never fits is given back'({ run, start, llama, bert }) {
    const none = await run(llama, 'generate', GENERATE, { quota: 1_000_000 });
    assert.equal(none.failed, UNABLE);
    assert.match(none.why, /0 MiB of models may be kept/);
    same(await run(bert, 'embed', EMBED, { quota: llama.bytes }), natively(bert.file, 'embed', EMBED));
    const result = await run(llama, 'generate', GENERATE, { quota: llama.bytes });
    assert.deepEqual(result.models, [[llama.digest, 'tiny llama']], 'one had to go');
    bert.since();
    await start();
    const both = await run(bert, 'embed', EMBED, { quota: llama.bytes + bert.bytes });
    assert.deepEqual(bert.since().length, bert.names.length);
    assert.equal(both.models.length, 2);
  },

  async 'it pauses, goes on, and stops'({ run, llama }) {
    const expected = natively(llama.file, 'generate', LONG);
    const result = await run(llama, 'generate', LONG, { pause: 5 });
    same(result, expected);
    assert.equal(result.whilePaused, 0);
    const stopped = await run(llama, 'generate', LONG, { stop: 5 });
    assert.equal(stopped.failed, STOPPED);
    assert.ok(stopped.pieces < 200, `stopped after ${stopped.pieces} pieces`);
    same(await run(llama, 'generate', LONG), expected);
  },
};

/** On software GPUs, which nodes leave alone: these browsers have WebGPU switched on. */
const ON_GPU = {
  async 'a GPU gives the bits of a native run'({ run, start, llama, bert }) {
    await start('?gpu=only');
    same(await run(bert, 'embed', EMBED), natively(bert.file, 'embed', EMBED));
    for (const temperature of [0, 900]) {
      const request = { ...GENERATE, max_tokens: 12, temperature };
      const expected = natively(llama.file, 'generate', request);
      same(await run(llama, 'generate', request), expected);
      same(await run(llama, 'generate', request, { draft: expected.stdout }), expected);
    }
  },

  async 'a GPU that is to be left alone is left alone'({ run, start, llama }) {
    await start('?gpu=only');
    const request = { ...GENERATE, max_tokens: 12 };
    const left = await run(llama, 'generate', LONG, { leave: 3 });
    assert.equal(left.failed, STOPPED);
    assert.ok(left.pieces < 50, `went on to ${left.pieces} pieces`);
    const without = await run(llama, 'generate', request, { gpu: 0 });
    assert.equal(without.failed, UNABLE);
    assert.match(without.why, /no GPU/);
    same(await run(llama, 'generate', request, { gpu: 5 }), natively(llama.file, 'generate', request));
  },

  async 'without a share of the GPU a model runs on the processor, with one it moves there'({ run, start, llama }) {
    await start();
    const request = { ...GENERATE, max_tokens: 12 };
    const expected = natively(llama.file, 'generate', request);
    same(await run(llama, 'generate', request, { gpu: 0 }), expected);
    same(await run(llama, 'generate', request), expected);
    same(await run(llama, 'generate', request, { gpu: 0 }), expected);
  },
};

/** Without WebGPU there is no GPU to insist on. */
TESTS['without a GPU it says so where it must have one'] = async ({ run, start, llama }) => {
  await start('?gpu=only');
  const refused = await run(llama, 'generate', GENERATE);
  assert.equal(refused.failed, UNABLE);
  assert.match(refused.why, /no GPU/);
};

const counts = { passed: 0, failed: 0 };
const engines = given.measure ? undefined : ['chromium', 'firefox', 'chromium-gpu', 'firefox-gpu'];
const rig = await Rig.start({ engines, files: { '/inference/': here, '/extension/': given.extension } });

/** A task's spec and input list, without running it natively. */
const tasks = new Map();
function task(file, work, request) {
  const key = `${file} ${work} ${JSON.stringify(request)}`;
  if (!tasks.has(key)) tasks.set(key, natively(file, work, request));
  const { spec, input } = tasks.get(key);
  return { spec, input };
}

async function check(engine, llama, bert) {
  const tools = {
    run: (model, work, request, more = {}) => (
      engine.call(PAGE, 'run', { ...task(model.file, work, request), ...more })),
    start: (query = '') => engine.call(PAGE, 'start', query),
    damage: (model, at) => engine.call(PAGE, 'damage', model.digest, at),
    llama,
    bert,
  };
  const tests = engine.name.endsWith('-gpu') ? ON_GPU : TESTS;
  for (const [name, test] of Object.entries(tests)) {
    if (!name.includes(given.only)) continue;
    const started = Date.now();
    for (const model of [llama, bert]) {
      model.since();
      model.spoil.clear();
    }
    let why;
    try {
      await engine.call(PAGE, 'empty');
      await test(tools);
    } catch (error) {
      why = error.message;
    }
    counts[why ? 'failed' : 'passed'] += 1;
    const title = `${engine.name}: ${name}`;
    console.log(why ? `FAIL ${title}: ${why}` : `ok ${title} (${Date.now() - started} ms)`);
  }
}

/** The real models: from the server, from the device, from memory. */
async function measure(engine) {
  engine.limit = 600_000;
  const works = [
    ['minilm-l6', 'embed', { texts: Array(4).fill('The quick brown fox jumps over the lazy dog.') }],
    ['smollm2-135m', 'generate', { prompt: 'Once upon a time', max_tokens: 64 }],
  ];
  for (const [name, work, request] of works) {
    const file = realModel(name);
    if (!file) throw new Error('needs the models: cargo xtask models');
    const model = new Served(rig, file);
    const wanted = task(file, work, request);
    const expected = tasks.get(`${file} ${work} ${JSON.stringify(request)}`);
    await engine.call(PAGE, 'empty');
    const run = async () => {
      const result = await engine.call(PAGE, 'run', wanted);
      same(result, expected);
      return result;
    };
    const first = await run();
    await engine.call(PAGE, 'start');
    const kept = await run();
    const warm = await run();
    const row = {
      engine: engine.name,
      model: name,
      bytes: model.bytes,
      fetch_and_load_ms: Math.round(first.ms - first.workMs),
      load_ms: Math.round(kept.ms - kept.workMs),
      work_ms: Math.round(warm.workMs),
      tokens_s: warm.pieces > 1 ? Number((1_000 * (warm.pieces - 1) / warm.textMs).toFixed(1)) : undefined,
    };
    console.log(JSON.stringify(row));
  }
}

try {
  if (given.measure) {
    for (const engine of rig.engines) await measure(engine);
    counts.passed += 1;
  } else {
    const { llama, bert } = tinyModels();
    const served = [llama, bert].map(file => new Served(rig, file));
    for (const engine of rig.engines) await check(engine, ...served);
  }
} finally {
  await rig.stop();
}
console.log(`${counts.passed} passed, ${counts.failed} failed, 0 skipped`);
process.exit(counts.failed || !counts.passed ? 1 : 0);
