// Firefox's event page: the node and the supervisor (Rust) in one document. What Mozilla's policy
// allows runs here: models, no fetched modules, so there is no sandbox.

const node = wasm_bindgen({ module_or_path: 'grid_bg.wasm' })
  .then(() => wasm_bindgen.startNode('grid-firefox', false));

const IDLE_SECONDS = 60;
chrome.idle.setDetectionInterval(IDLE_SECONDS);
chrome.idle.onStateChanged.addListener(async state => (await node).idle(state));
chrome.alarms.onAlarm.addListener(async () => (await node).wake(office !== undefined));
chrome.runtime.onStartup.addListener(() => node); // Switched on before: goes on.

// From the popup.
chrome.runtime.onMessage.addListener((message, sender, reply) => {
  answer(message).then(reply, error => reply({ failed: String(error) }));
  return true;
});

async function answer({ kind, settings }) {
  const started = await node;
  if (kind === 'acks') return started.acks();
  if (kind === 'settings') await started.change(settings);
  if (kind === 'empty') await started.emptyModels();
  return started.view();
}

// Below: what the node calls.

const loadValue = async (area, key) => (await chrome.storage[area].get(key))[key];

const storeValue = (area, key, value) => chrome.storage[area].set({ [key]: value });

let office;

async function openOffice(port) {
  office ??= new wasm_bindgen.Office(undefined, () => {});
  office.connect(port);
}

function closeOffice() {
  office?.close();
  office = undefined;
}

// An event page is suspended after 30 s unless an API is called.
const STAY_MS = 10_000;
let staying;

function setAlarm(on) {
  clearInterval(staying);
  if (on) {
    chrome.alarms.create('wake', { periodInMinutes: 0.5 });
    staying = setInterval(() => chrome.runtime.getPlatformInfo(), STAY_MS);
  } else {
    chrome.alarms.clear('wake');
  }
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
