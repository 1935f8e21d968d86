// What the background of every package has in common: starts the node (Rust),
// passes events in, and has the functions that it calls. Listeners are added at
// once, so that an event that starts the script isn't lost. Follows grid.js;
// the package's own script follows, and says who it is (AGENT, MODULES) and
// where the supervisor is (officeIsOpen, openOffice, closeOffice, setAlarm).

const node = wasm_bindgen({ module_or_path: 'grid_bg.wasm' })
  .then(() => wasm_bindgen.startNode(AGENT, MODULES));

// A phone's browser may not tell whether it is idle: then it counts as in use.
const IDLE_SECONDS = 60;
chrome.idle?.setDetectionInterval(IDLE_SECONDS);
chrome.idle?.onStateChanged.addListener(async state => (await node).idle(state));
chrome.alarms.onAlarm.addListener(async () => (await node).wake(await officeIsOpen()));
chrome.runtime.onStartup.addListener(() => node); // Switched on before: goes on.

// From the extension's pages, and the offscreen document (`wake`): extension/README.md lists them.
chrome.runtime.onMessage.addListener((message, sender, reply) => {
  answer(message).then(reply, error => reply({ failed: String(error) }));
  return true;
});

const answer = async message => (await node).answer(message);

// Once, when it was added: what it is, and nothing is started.
chrome.runtime.onInstalled.addListener(({ reason }) => {
  if (reason === 'install') chrome.tabs.create({ url: 'welcome.html' });
});

// Below: what the node calls.

const loadValue = async (area, key) => (await chrome.storage[area].get(key))[key];

const storeValue = (area, key, value) => chrome.storage[area].set({ [key]: value });

async function deleteModels() {
  const files = await navigator.storage.getDirectory();
  await files.removeEntry('models', { recursive: true }).catch(error => {
    if (error.name !== 'NotFoundError') throw error;
  });
}

async function idleState() {
  return chrome.idle?.queryState(IDLE_SECONDS) ?? 'active';
}
