// What run.mjs calls in the page: engines are made, run once for each sample, and closed.
//
// An engine module exports `open(options) -> engine`. An engine has
//   generate({ text, ids }, n) -> { prompt_ms, decode_ms, prompt_n, decode_n }   from an empty cache
//   checked({ ids }, n) -> { make_ms, check_ms }   ours only
//   embed(batch, tokens) -> ms
//   matmul(m, k, n, times) -> ms   products on a GPU, one after another
//   close()
const engines = new Map();

globalThis.bench = {
  async open(name, module, options) {
    const { open } = await import(`/engines/${module}.mjs`);
    engines.set(name, await open(options));
  },
  call: (name, what, ...values) => engines.get(name)[what](...values),
  async close() {
    for (const engine of engines.values()) {
      await engine.close();
    }
    engines.clear();
  },
};
