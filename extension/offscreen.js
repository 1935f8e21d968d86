// The offscreen document: starts the supervisor (Rust), builds the sandboxed
// frame, watches the power supply.

const load = async name => (await fetch(name)).arrayBuffer();
const text = async name => (await fetch(name)).text();

const wasm = load('grid_bg.wasm');
const script = Promise.all([text('grid.js'), text('executor-worker.js')]);
const battery = navigator.getBattery?.().catch(() => undefined);

const office = start();

// The service worker hands over a port, and the name of a lock that it holds
// while it lives.
navigator.serviceWorker.onmessage = async ({ data: life, ports: [port] }) => {
  const started = await office;
  const connection = started.connect(port);
  navigator.locks.request(life, () => started.disconnect(connection));
};

async function start() {
  const bytes = await wasm;
  wasm_bindgen.initSync({ module: bytes });
  const office = new wasm_bindgen.Office(buildFrame, wakeNode);
  const power = await battery;
  if (power) {
    power.onchargingchange = () => office.power(power.charging);
    power.onchargingchange();
  }
  return office;
}

function buildFrame(port) {
  document.querySelector('iframe')?.remove();
  const frame = document.createElement('iframe');
  frame.onload = async () => {
    const executor = { script: (await script).join('\n'), wasm: await wasm };
    frame.contentWindow.postMessage(executor, '*', [port]);
  };
  frame.src = 'sandbox.html';
  document.body.append(frame);
}

function wakeNode() {
  chrome.runtime.sendMessage({ kind: 'wake' }).catch(() => {});
}
