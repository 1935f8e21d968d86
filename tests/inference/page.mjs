// In the browser: starts the worker that infers as the offscreen document does, and gives it tasks
// as the supervisor does (crates/contexts/src/messages.rs).
import { decode, encode } from '/rig/cbor.mjs';

let worker;
let port;
/** Called with each message of the worker: `[number, fields]`. */
let hear = () => {};

const READY = 0;
const ALIVE = 1;
const LOADING = 2;
const TEXT = 3;
const MODELS = 4;
const FINISHED = 5;
const FAILED = 6;

const bytes = hex => Uint8Array.from(hex.match(/../g) ?? [], byte => parseInt(byte, 16));
const hex = array => Array.from(array, byte => byte.toString(16).padStart(2, '0')).join('');
const say = message => port.postMessage(encode(message).buffer);
const sha256 = async data => hex(new Uint8Array(await crypto.subtle.digest('SHA-256', data)));

/** A fresh worker, in place of the one before; `query` as crates/inference/src/web/device.rs knows it. */
export async function start(query = '') {
  worker?.terminate();
  worker = new Worker(`/extension/inference-worker.js${query}`);
  const channel = new MessageChannel();
  port = channel.port1;
  await new Promise((ready, fail) => {
    worker.onerror = ({ message }) => fail(new Error(message));
    port.onmessage = ({ data }) => {
      const message = decode(data);
      if (message[0] === READY) ready();
      hear(message);
    };
    worker.postMessage(null, [channel.port2]);
  });
}

/** Deletes all models that are kept; what an open file of the worker's prevents is an error. */
export async function empty() {
  worker?.terminate();
  worker = undefined;
  const files = await navigator.storage.getDirectory();
  for (let tries = 0; ; tries += 1) {
    try {
      return await files.removeEntry('models', { recursive: true });
    } catch (error) {
      if (error.name === 'NotFoundError') return undefined;
      // A terminated worker's files are closed a moment later.
      if (tries === 100) throw error;
      await moment(20);
    }
  }
}

/** Changes one byte of a kept model. */
export async function damage(model, at) {
  worker?.terminate();
  worker = undefined;
  const files = await navigator.storage.getDirectory();
  const folder = await files.getDirectoryHandle('models');
  const file = await folder.getFileHandle(model);
  for (let tries = 0; ; tries += 1) {
    try {
      const byte = new Uint8Array(await (await file.getFile()).slice(at, at + 1).arrayBuffer());
      const out = await file.createWritable({ keepExistingData: true });
      await out.write({ type: 'write', position: at, data: Uint8Array.of(byte[0] ^ 1) });
      return await out.close();
    } catch (error) {
      if (tries === 100) throw error;
      await moment(20);
    }
  }
}

// tidy-allow(sleep): waits for what has no event; a pause is measured over a time.
const moment = ms => new Promise(done => setTimeout(done, ms));

/**
 * Runs a task: `{spec, input}` as hexadecimal digits, `draft` as text. `pause` and `stop`: after so
 * many pieces of text. `gpu`: the share of the GPU from the start, `leave`: after so many pieces it is
 * to be left alone. Gives what came of it.
 */
export async function run({ spec, input, draft = null, quota = 1 << 30, pause, stop, gpu = 100, leave }) {
  if (!worker) await start();
  const lease = crypto.getRandomValues(new Uint8Array(16));
  const seen = { text: '', pieces: 0, loading: [], models: undefined };
  const began = performance.now();
  const paused = async () => {
    say([2, [0, 0]]);
    await new Promise(done => { seen.alive = done; });
    const { pieces } = seen;
    await moment(400);
    seen.whilePaused = seen.pieces - pieces;
    say([2, [100, 100]]);
  };
  const end = await new Promise((done, fail) => {
    worker.onerror = ({ message }) => fail(new Error(message));
    hear = ([kind, fields]) => {
      if (kind === ALIVE) seen.alive?.();
      if (kind === LOADING) seen.loading.push(fields[1]);
      if (kind === MODELS) seen.models = fields[0].map(([digest, name]) => [hex(digest), name]);
      if (kind === TEXT) {
        seen.first ??= performance.now();
        const [offset, text, pieces] = fields[1];
        if (new TextEncoder().encode(seen.text).length !== offset) fail(new Error('a gap in the text'));
        seen.text += text;
        seen.pieces = pieces;
        if (pieces === pause) paused();
        if (pieces === stop) say([1, [lease]]);
        if (pieces === leave) say([2, [100, 0]]);
      }
      if (kind === FINISHED || kind === FAILED) done([kind, fields]);
    };
    const own = draft === null ? null : new TextEncoder().encode(draft);
    say([2, [100, gpu]]);
    say([0, [lease, [bytes(spec), bytes(input), own, location.origin, quota]]]);
  });
  const [kind, fields] = end;
  const now = performance.now();
  const common = { ...seen, alive: undefined, ms: now - began, textMs: now - (seen.first ?? now) };
  if (kind === FAILED) return { ...common, failed: fields[1], why: fields[2] };
  const [reason, exit, output, fuel, , workMs, , , check] = fields[1];
  return { ...common, reason, exit, output: await sha256(output), fuel, workMs, check: hex(check) };
}
