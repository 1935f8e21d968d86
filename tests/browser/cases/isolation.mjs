// The task module runs in the sandboxed worker, by Rust, and neither worker
// nor frame reaches the network or an extension API.
import assert from 'node:assert/strict';
import { sha256 } from '../lib/files.mjs';
import { fnv, fnvOf } from '../lib/modules.mjs';
import { overlay, script } from '../lib/overlay.mjs';
import { trapServer } from '../lib/trap-server.mjs';
import { until } from '../lib/wait.mjs';

/** What a context can reach. Runs as packaged code in worker and frame. */
function reach(host) {
  const attempts = {
    fetch: () => fetch(`http://${host}/fetch`),
    request: () => new Promise((done, fail) => {
      const request = new XMLHttpRequest();
      request.onload = done;
      request.onerror = fail;
      request.open('GET', `http://${host}/request`);
      request.send();
    }),
    socket: () => new Promise((done, fail) => {
      const socket = new WebSocket(`ws://${host}/socket`);
      socket.onopen = done;
      socket.onerror = fail;
    }),
    events: () => new Promise((done, fail) => {
      const events = new EventSource(`http://${host}/events`);
      events.onopen = done;
      events.onerror = () => events.readyState === 2 && fail();
    }),
    import: () => import(`http://${host}/import.js`),
    own: () => fetch(`${globalThis.location.ancestorOrigins?.[0] ?? 'chrome-extension://x'}/manifest.json`),
    database: () => new Promise((done, fail) => {
      const open = indexedDB.open('probe');
      open.onsuccess = done;
      open.onerror = fail;
    }),
  };
  if (globalThis.importScripts) {
    attempts.scripts = () => importScripts(`http://${host}/scripts.js`);
  } else {
    attempts.image = () => new Promise((done, fail) => {
      const image = new Image();
      image.onload = done;
      image.onerror = fail;
      image.src = `http://${host}/image`;
    });
    attempts.frame = () => new Promise((done, fail) => {
      const frame = document.createElement('iframe');
      frame.src = `http://${host}/frame`;
      document.documentElement.append(frame);
      setTimeout(fail, 1_000);
    });
    attempts.parent = () => parent.document.title;
    attempts.storage = () => localStorage.length;
    attempts.cookie = () => document.cookie.length;
    attempts.beacon = () => navigator.sendBeacon(`http://${host}/beacon`) || Promise.reject();
    attempts.popup = () => open(`http://${host}/popup`) ?? Promise.reject();
  }
  const late = () => new Promise((_, fail) => setTimeout(fail, 3_000));
  const outcome = async ([name, attempt]) => {
    try {
      await Promise.race([attempt(), late()]);
      return [name, 'reached'];
    } catch {
      return [name, 'refused'];
    }
  };
  return Promise.all(Object.entries(attempts).map(outcome)).then(all => ({
    reached: Object.fromEntries(all),
    origin: globalThis.origin,
    chrome: typeof globalThis.chrome?.runtime + typeof globalThis.chrome?.storage,
    browser: typeof globalThis.browser,
  }));
}

/** Prepended to the worker's script. */
const WORKER = host => `${reach}
  (${host => {
    const tell = probe => self.postMessage(probe);
    const bytesOf = new WeakMap();
    const { compile, Instance } = WebAssembly;
    WebAssembly.compile = async bytes => {
      const copy = Array.from(new Uint8Array(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, bytes.byteLength));
      const module = await compile(bytes);
      bytesOf.set(module, copy);
      return module;
    };
    WebAssembly.Instance = function (module, imports) {
      const made = new Instance(module, imports);
      const bytes = bytesOf.get(module);
      if (bytes) {
        tell({
          kind: 'instance',
          bytes,
          imports: WebAssembly.Module.imports(module).map(({ module, name }) => `${module}.${name}`),
          given: Object.keys(imports),
          stack: new Error().stack,
          protocol: location.protocol,
        });
      }
      return made;
    };
    WebAssembly.Instance.prototype = Instance.prototype;
    reach(host).then(found => tell({ kind: 'worker', ...found }));
  }})(${JSON.stringify(host)});`;

/** Prepended to the frame's script. */
const FRAME = host => `${reach}
  (${host => {
    const tell = probe => parent.postMessage({ probe: JSON.stringify(probe) }, '*');
    const Packaged = Worker;
    globalThis.Worker = function (url) {
      const worker = new Packaged(url);
      worker.onmessage = ({ data }) => tell(data);
      return worker;
    };
    reach(host).then(found => tell({ kind: 'frame', ...found }));
  }})(${JSON.stringify(host)});`;

const OFFSCREEN = script(() => {
  addEventListener('message', ({ data }) => {
    if (data.probe) chrome.runtime.sendMessage({ kind: 'wake', probe: data.probe });
  });
});

const SERVICE_WORKER = script(() => {
  self.probes = [];
  chrome.runtime.onMessage.addListener(({ probe }) => void (probe && probes.push(probe)));
});

export default {
  async 'a nested instance in the sandboxed worker, by Rust, that reaches nothing'(t) {
    const trap = await trapServer(t);
    const extension = overlay(t, {
      before: {
        'executor-worker.js': WORKER(trap.host),
        'sandbox.js': FRAME(trap.host),
        'offscreen.js': OFFSCREEN,
        'service-worker.js': SERVICE_WORKER,
      },
    });
    const { owner, browser } = await t.network({ extension });
    const module = fnv(3);
    const { admitted } = await owner.module(module);
    const result = await owner.run(module, { stdin: 'probe' });
    assert.deepEqual(result.files, { stdout: fnvOf(Buffer.from('probe'), 3) });

    const found = async kind => {
      const probes = await browser.worker.evaluate(() => probes);
      return probes.map(text => JSON.parse(text)).find(probe => probe.kind === kind);
    };
    const instance = await until('the instance is seen', () => found('instance'));
    assert.equal(sha256(Buffer.from(instance.bytes)), admitted, 'the bytes that the relay admitted');
    assert.equal(instance.protocol, 'blob:');
    assert.deepEqual([...new Set(instance.imports.map(name => name.split('.')[0]))].sort(),
      ['grid', 'wasi_snapshot_preview1']);
    assert.deepEqual(instance.given.sort(), ['grid', 'wasi_snapshot_preview1']);
    assert.match(instance.stack, /wasm:\/\/wasm|wasm-function/, 'made by the Rust instance');

    for (const kind of ['worker', 'frame']) {
      const probe = await until(`the ${kind} is probed`, () => found(kind));
      assert.deepEqual(Object.entries(probe.reached).filter(([, outcome]) => outcome !== 'refused'), [], kind);
      assert.ok(Object.keys(probe.reached).length >= 7, 'all of it was tried');
      assert.equal(probe.origin, 'null');
      assert.equal(probe.chrome, 'undefinedundefined');
      assert.equal(probe.browser, 'undefined');
    }
    assert.equal(trap.connections, 0);
    // The trap does work: the service worker may reach any relay.
    await browser.worker.evaluate(host => fetch(`http://${host}/`).catch(() => {}), trap.host);
    assert.equal(trap.connections, 1);
  },
};
