// The offscreen document: starts the supervisor (Rust), and watches the power supply.

const office = start();

// The service worker hands over a port, and the name of a lock that it holds
// while it lives.
navigator.serviceWorker.onmessage = async ({ data: life, ports: [port] }) => {
  const started = await office;
  const connection = started.connect(port);
  navigator.locks.request(life, () => started.disconnect(connection));
};

async function start() {
  const battery = navigator.getBattery?.().catch(() => undefined);
  wasm_bindgen.initSync({ module: (await executor).wasm });
  const office = new wasm_bindgen.Office(buildFrame, wakeNode);
  const power = await battery;
  if (power) {
    power.onchargingchange = () => office.power(power.charging);
    power.onchargingchange();
  }
  return office;
}

function wakeNode() {
  chrome.runtime.sendMessage({ kind: 'wake' }).catch(() => {});
}
