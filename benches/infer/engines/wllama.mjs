// llama.cpp in wasm. Times are its own, which leave out what its server around it costs.
import { LoggerWithoutDebug, Wllama } from '@wllama/wllama';
import { fetched } from './bytes.mjs';

export async function open({ file, threads }) {
  const paths = { default: '/node_modules/@wllama/wllama/esm/wasm/wllama.wasm' };
  const wllama = new Wllama(paths, { suppressNativeLog: true, logger: LoggerWithoutDebug });
  const model = await (await fetched(file)).blob();
  // On the CPU: with a GPU's layers it would fall back to it anyway where f16 is missing.
  await wllama.loadModel([model], { n_threads: threads, n_ctx: 512, n_gpu_layers: 0, n_parallel: 1 });
  if (wllama.getNumThreads() !== threads) {
    throw new Error(`wllama runs ${wllama.getNumThreads()} threads instead of ${threads}`);
  }
  return {
    async generate({ text: prompt }, n) {
      const answer = await wllama.createCompletion({
        prompt, max_tokens: n, temperature: 0, top_k: 1, ignore_eos: true, cache_prompt: false,
      });
      const { prompt_n, prompt_ms, predicted_n, predicted_ms } = answer.timings;
      // The first token comes out of the prompt's pass.
      return { prompt_ms, decode_ms: predicted_ms, prompt_n, decode_n: predicted_n - 1 };
    },
    close: () => wllama.exit(),
  };
}
