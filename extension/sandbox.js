// The sandboxed frame: opaque origin, no network, no extension API. Compiles
// the executor once, then starts and terminates its workers. Task modules run
// in the workers only.

onmessage = async ({ source, data: { script, wasm }, ports: [port] }) => {
  if (source !== parent) return;
  onmessage = null;
  const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
  const module = await WebAssembly.compile(wasm);
  const workers = new Map();
  port.onmessage = ({ data: { spawn, kill }, ports }) => {
    if (spawn) {
      const worker = new Worker(url);
      worker.onerror = ({ message }) => port.postMessage({ error: spawn, detail: message });
      worker.postMessage(module, ports);
      workers.set(spawn, worker);
    } else {
      workers.get(kill)?.terminate();
      workers.delete(kill);
    }
  };
  port.postMessage({ up: true });
};
