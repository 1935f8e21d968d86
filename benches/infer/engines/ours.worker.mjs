// One instance of the wasm that `cargo xtask bench infer` built.
import init, { Model } from '/ours/infer.js';

let model;

const calls = {
  async load(bytes) {
    await init({ module_or_path: '/ours/infer_bg.wasm' });
    model = new Model(new Uint8Array(bytes));
  },
  prompt(ids) {
    const start = performance.now();
    model.prompt(Uint32Array.from(ids));
    return performance.now() - start;
  },
  decode(n) {
    const start = performance.now();
    model.decode(n);
    return performance.now() - start;
  },
  make(ids, n) {
    const start = performance.now();
    model.prompt(Uint32Array.from(ids));
    const tokens = [...model.decode(n)];
    return { tokens, ms: performance.now() - start };
  },
  check(prompt, ids) {
    const start = performance.now();
    if (!model.check(prompt, Uint32Array.from(ids))) {
      throw new Error('the prefill chooses other tokens than decoding did');
    }
    return performance.now() - start;
  },
  embed(ids, tokens) {
    model.embed(Uint32Array.from(ids), tokens);
  },
};

onmessage = async ({ data: { what, values } }) => {
  try {
    postMessage({ value: await calls[what](...values) });
  } catch (error) {
    postMessage({ error: String(error?.stack ?? error) });
  }
};
