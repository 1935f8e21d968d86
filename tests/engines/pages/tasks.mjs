// Runs whole tasks as a node does: the executor of crates/browser, in a fresh
// worker of the sandboxed frame that extension/sandbox.js fills.
import { decode, encode, Float } from './cbor.mjs';
import { readPack } from './pack.mjs';

const REASONS = ['exit', 'trap', 'out_of_fuel', 'stack', 'output_limit'];
/** Numbers of crates/contexts/src/messages.rs. */
const RUN = 0;
const [READY, PROGRESS, FINISHED, FAILED] = [0, 1, 2, 3];
/** Percent of a core, and milliseconds of sleep owed. */
const PACE = [100, new Float(0)];

/** Runs the pack's cases; says what differed, in the form of `runScripts`. */
export async function runTasks(url, limit) {
  const sandbox = await openSandbox();
  const { cases, bytes } = await readPack(url);
  const result = { compared: 0, failed: {}, differences: [] };
  for (const { name, spec, module, input, expect } of cases) {
    const job = [spec, module, input].map(bytes);
    const got = await sandbox.run(job, limit).catch(error => ({ error: String(error) }));
    result.compared += 1;
    if (Object.keys(expect).every(field => got[field] === expect[field])) continue;
    result.failed[name] = 1;
    result.differences.push({ name, at: 'its end', expect, got });
  }
  return result;
}

async function openSandbox() {
  const text = async path => (await fetch(path)).text();
  const scripts = await Promise.all([text('/extension/grid.js'), text('/extension/executor-worker.js')]);
  const wasm = await (await fetch('/extension/grid_bg.wasm')).arrayBuffer();
  const frame = document.createElement('iframe');
  frame.sandbox = 'allow-scripts';
  frame.src = '/extension/sandbox.html';
  await new Promise(done => {
    frame.onload = done;
    document.body.append(frame);
  });
  const { port1: port, port2 } = new MessageChannel();
  let failed = () => {};
  const up = new Promise(done => {
    port.onmessage = ({ data }) => {
      if (data.up) done();
      if (data.error) failed(new Error(`the worker failed: ${data.detail}`));
    };
  });
  frame.contentWindow.postMessage({ script: scripts.join('\n'), wasm }, '*', [port2]);
  await up;
  let count = 0;
  return {
    async run(job, limit) {
      count += 1;
      const worker = count;
      const { port1: task, port2: given } = new MessageChannel();
      let timer;
      try {
        return await new Promise((resolve, reject) => {
          failed = reject;
          timer = setTimeout(() => reject(new Error(`no end within ${limit} ms`)), limit);
          task.onmessage = async ({ data }) => {
            const [kind, fields] = decode(data);
            if (kind === READY) task.postMessage(encode([RUN, [job, ...PACE]]).buffer);
            else if (kind === FINISHED) resolve(outcome(fields[0]));
            else if (kind === FAILED) reject(new Error(fields[0]));
            else if (kind !== PROGRESS) reject(new Error(`message ${kind}`));
          };
          port.postMessage({ spawn: worker }, [given]);
        });
      } finally {
        clearTimeout(timer);
        port.postMessage({ kill: worker });
        task.close();
      }
    },
  };
}

async function outcome([reason, exit_code, output, fuel, hint]) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', output));
  const hex = Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('');
  return { reason: REASONS[reason], exit_code, fuel, output: hex, hint };
}
