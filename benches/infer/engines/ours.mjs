// Grid's own, each thread a worker with an instance of its own.
import { fetched, ids as sample } from './bytes.mjs';

/** A worker that answers one call at a time. */
async function instance(model) {
  const worker = new Worker('/engines/ours.worker.mjs', { type: 'module' });
  const call = (what, ...values) => new Promise((done, failed) => {
    worker.onmessage = ({ data }) => ('error' in data ? failed(new Error(data.error)) : done(data.value));
    worker.onerror = event => failed(new Error(event.message));
    worker.postMessage({ what, values });
  });
  await call('load', model);
  return { call, close: () => worker.terminate() };
}

export async function open({ file, threads }) {
  const model = await (await fetched(file)).arrayBuffer();
  const instances = await Promise.all(Array.from({ length: threads }, () => instance(model)));
  return {
    async generate({ ids }, n) {
      // One sequence is one thread's work.
      const prompt_ms = await instances[0].call('prompt', ids);
      const decode_ms = await instances[0].call('decode', n);
      return { prompt_ms, decode_ms, prompt_n: ids.length, decode_n: n };
    },
    /** Makes `n` tokens, and then checks them by one prefill. */
    async checked({ ids }, n) {
      const made = await instances[0].call('make', ids, n);
      const check_ms = await instances[0].call('check', ids.length, [...ids, ...made.tokens]);
      return { make_ms: made.ms, check_ms };
    },
    async embed(batch, tokens) {
      const input = sample(batch, tokens);
      const share = Math.ceil(batch / instances.length);
      const start = performance.now();
      await Promise.all(instances.map((one, index) => {
        const part = input.slice(index * share * tokens, (index + 1) * share * tokens);
        return part.length > 0 ? one.call('embed', part, tokens) : null;
      }));
      return performance.now() - start;
    },
    close: () => instances.forEach(one => one.close()),
  };
}
