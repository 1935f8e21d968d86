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
    database: () => new Promise((done, fail) => {
      const open = indexedDB.open('probe');
      open.onsuccess = done;
      open.onerror = fail;
    }),
  };
  if (globalThis.importScripts) {
    attempts.scripts = () => importScripts(`http://${host}/scripts.js`);
  } else {
    // Not tried: frames and preconnect hints. They open a connection, without a
    // request, from any document; a worker has neither, and modules run there.
    attempts.image = () => new Promise((done, fail) => {
      const image = new Image();
      image.onload = done;
      image.onerror = fail;
      image.src = `http://${host}/image`;
    });
    attempts.parent = () => parent.document.title;
    attempts.storage = () => localStorage.length;
    attempts.cookie = () => document.cookie.length;
    // Says yes and sends nothing: the trap counts.
    attempts.beacon = () => Promise.reject(navigator.sendBeacon(`http://${host}/beacon`));
    attempts.popup = () => open(`http://${host}/popup`) ?? Promise.reject();
  }
  // tidy-allow(sleep): what never answers was not reached.
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
    // The names `chrome` and `browser` may be there, for any page.
    apis: ['chrome', 'browser'].flatMap(name => Object.keys(globalThis[name] ?? {})),
  }));
}

/** Prepended to the worker's script. */
export const WORKER = host => `${reach}
  (${host => {
    const tell = probe => self.postMessage(probe);
    const bytesOf = new WeakMap();
    const { compile, Module, Instance } = WebAssembly;
    const remember = (module, bytes) => {
      bytesOf.set(module, Array.from(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)));
      return module;
    };
    WebAssembly.compile = async bytes => remember(await compile(bytes), bytes);
    WebAssembly.Module = new Proxy(Module, {
      construct: (_, [bytes]) => remember(new Module(bytes), bytes),
    });
    WebAssembly.Instance = new Proxy(Instance, {
      construct: (_, [module, imports]) => {
        const { stack } = new Error();
        if (bytesOf.has(module)) {
          tell({
            kind: 'instance',
            bytes: bytesOf.get(module),
            imports: Module.imports(module).map(({ module, name }) => `${module}.${name}`),
            given: Object.keys(imports),
            stack,
            protocol: location.protocol,
          });
        }
        return new Instance(module, imports);
      },
    });
    reach(host).then(found => tell({ kind: 'worker', ...found }));
  }})(${JSON.stringify(host)});`;

/** Prepended to the frame's script. */
export const FRAME = host => `${reach}
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

/** What a probe of this kind of context must say. */
export function reachedNothing(kind, probe) {
  assert.deepEqual(Object.entries(probe.reached).filter(([, outcome]) => outcome !== 'refused'), [], kind);
  assert.ok(Object.keys(probe.reached).length >= 6, 'all of it was tried');
  assert.equal(probe.origin, 'null');
  const extension = ['runtime', 'storage', 'offscreen', 'idle', 'alarms', 'extension', 'tabs'];
  assert.deepEqual(probe.apis.filter(api => extension.includes(api)), [], `${probe.apis}`);
}

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

    const found = async (kind, is = () => true) => {
      const probes = await browser.worker.evaluate(() => probes);
      return probes.map(text => JSON.parse(text)).find(probe => probe.kind === kind && is(probe));
    };
    const instance = await until('an instance of the admitted bytes', () =>
      found('instance', ({ bytes }) => sha256(Buffer.from(bytes)) === admitted));
    assert.equal(instance.protocol, 'blob:');
    assert.deepEqual([...new Set(instance.imports.map(name => name.split('.')[0]))].sort(),
      ['grid', 'wasi_snapshot_preview1']);
    assert.deepEqual(instance.given.sort(), ['grid', 'wasi_snapshot_preview1']);
    assert.match(instance.stack, /wasm:\/\/wasm|wasm-function/, 'made by the Rust instance');

    for (const kind of ['worker', 'frame']) {
      reachedNothing(kind, await until(`the ${kind} is probed`, () => found(kind)));
    }
    assert.equal(trap.connections, 0, `heard: ${trap.heard}`);
    // The trap does work: the service worker may reach any relay.
    await browser.worker.evaluate(host => fetch(`http://${host}/`).catch(() => {}), trap.host);
    assert.equal(trap.connections, 1);
  },
};
