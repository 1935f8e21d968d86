// onnxruntime-web on the CPU.
import * as ort from 'onnxruntime-web/wasm';
import { fetched, ids } from './bytes.mjs';

export async function open({ file, threads }) {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = '/node_modules/onnxruntime-web/dist/';
  ort.env.logLevel = 'error';
  const model = new Uint8Array(await (await fetched(file)).arrayBuffer());
  const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
  return {
    async embed(batch, tokens) {
      const input = new ort.Tensor('int64', BigInt64Array.from(ids(batch, tokens), BigInt), [batch, tokens]);
      const start = performance.now();
      await session.run({ input_ids: input });
      return performance.now() - start;
    },
    close: () => session.release(),
  };
}
