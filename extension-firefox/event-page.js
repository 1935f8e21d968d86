// Firefox's event page: the node and the supervisor (Rust) in one document. Where the package has a
// sandboxed frame (frame.js), modules run in its workers; without, only models run.

const AGENT = 'grid-firefox';
const MODULES = 'buildFrame' in globalThis;

// Below: what the node calls.

let office;

const officeIsOpen = () => office !== undefined;

async function openOffice(port) {
  office ??= new wasm_bindgen.Office(globalThis.buildFrame, () => {});
  office.connect(port);
}

function closeOffice() {
  office?.close();
  office = undefined;
}

// An event page is suspended after 30 s unless an API is called; a node that rests until `at` is.
const STAY_MS = 10_000;
let staying;

function setAlarm(on, at) {
  clearInterval(staying);
  if (on) chrome.alarms.create('wake', { when: at, periodInMinutes: 0.5 });
  else chrome.alarms.clear('wake');
  if (on && !at) staying = setInterval(() => chrome.runtime.getPlatformInfo(), STAY_MS);
}
