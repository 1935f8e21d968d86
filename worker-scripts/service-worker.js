// The service worker: starts the node (Rust) and passes events in. Listeners
// are added at once, so that an event that starts this script isn't lost.
importScripts('grid.js');

const node = wasm_bindgen({ module_or_path: 'grid_bg.wasm' }).then(() => wasm_bindgen.startNode('grid-chrome', true));

const IDLE_SECONDS = 60;
chrome.idle.setDetectionInterval(IDLE_SECONDS);
chrome.idle.onStateChanged.addListener(async state => (await node).idle(state));
chrome.alarms.onAlarm.addListener(async () =>
  (await node).wake(await chrome.offscreen.hasDocument()));
chrome.runtime.onStartup.addListener(() => node); // Switched on before: goes on.

// From the popup (`status`, `settings`, `acks`) and the offscreen document (`wake`).
chrome.runtime.onMessage.addListener((message, sender, reply) => {
  answer(message).then(reply, error => reply({ failed: String(error) }));
  return true;
});

async function answer({ kind, settings }) {
  const started = await node;
  if (kind === 'acks') return started.acks();
  if (kind === 'settings') await started.change(settings);
  if (kind === 'empty') await started.emptyModels();
  return kind === 'wake' ? {} : started.view();
}

// A lock held for as long as this service worker lives: the offscreen document
// waits for it, and so learns of its death.
const life = crypto.randomUUID();
const alive = new Promise(held => {
  navigator.locks.request(life, () => {
    held();
    return new Promise(() => {});
  });
});

// Below: what the node calls.

const loadValue = async (area, key) => (await chrome.storage[area].get(key))[key];

const storeValue = (area, key, value) => chrome.storage[area].set({ [key]: value });

// One at a time: closing and opening must not overtake each other.
let office = Promise.resolve();
const inTurn = step => (office = office.then(step, step));

function openOffice(port) {
  return inTurn(async () => {
    if (!await chrome.offscreen.hasDocument()) {
      await chrome.offscreen.createDocument({
        url: 'offscreen.html',
        reasons: ['WORKERS'],
        justification: 'Runs tasks in workers of a sandboxed frame.',
      });
    }
    const all = await clients.matchAll({ type: 'window', includeUncontrolled: true });
    const document = all.find(client => new URL(client.url).pathname === '/offscreen.html');
    await alive;
    document.postMessage(life, [port]);
  });
}

function closeOffice() {
  inTurn(async () => {
    if (await chrome.offscreen.hasDocument()) await chrome.offscreen.closeDocument();
  });
}

function setAlarm(on) {
  if (on) chrome.alarms.create('wake', { periodInMinutes: 0.5 });
  else chrome.alarms.clear('wake');
}

async function deleteModels() {
  const files = await navigator.storage.getDirectory();
  await files.removeEntry('models', { recursive: true }).catch(error => {
    if (error.name !== 'NotFoundError') throw error;
  });
}

function idleState() {
  return chrome.idle.queryState(IDLE_SECONDS);
}
