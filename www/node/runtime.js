// A node in a page, as an extension's background is in another place: starts the wasm, and has the
// functions that it calls. Follows grid.js and frame.js; the page's own script follows, and says
// when to start and as what.

const page = {
  /** Where values are kept; `kept` says whether they outlive this document. */
  ...storage(),
  /** What is kept elsewhere, or is fixed: by key, in place of what is stored. */
  given: {},
  /** Settings that nobody changes here. */
  settings: {},
  /** Is the device in use? `active` or `idle`. */
  idle: () => 'active',
  start,
};

let begin;
const node = new Promise(started => (begin = started));

/** Starts the node: once. Until then `node` is not there, and nothing but files was asked for. */
async function start(agent) {
  await wasm_bindgen({ module_or_path: 'grid_bg.wasm' });
  begin(await wasm_bindgen.startNode(agent, true));
  return node;
}

/** The browser's storage; where it is refused, this document's memory. */
function storage() {
  const memory = () => {
    const values = new Map();
    return {
      getItem: key => values.get(key) ?? null,
      setItem: (key, value) => values.set(key, value),
      removeItem: key => values.delete(key),
    };
  };
  const usable = name => {
    try {
      const found = window[name];
      found.setItem('grid.probe', '');
      found.removeItem('grid.probe');
      return found;
    } catch {
      return undefined;
    }
  };
  const local = usable('localStorage');
  return { local: local ?? memory(), session: usable('sessionStorage') ?? memory(), kept: Boolean(local) };
}

/** What the controls ask, as an extension's background answers it. */
async function answer({ settings, ...message }) {
  return (await node).answer(settings ? { ...message, settings: { ...settings, ...page.settings } } : message);
}

// Below: what the node calls.

async function loadValue(area, key) {
  if (key in page.given) return page.given[key];
  const value = page[area].getItem(`grid.${key}`);
  const parsed = value === null ? undefined : JSON.parse(value);
  return key === 'settings' ? { ...parsed, ...page.settings } : parsed;
}

async function storeValue(area, key, value) {
  // What is given holds for this document: documents of the same site share its storage.
  if (key in page.given) return;
  page[area].setItem(`grid.${key}`, JSON.stringify(value));
}

async function deleteModels() {
  const files = await navigator.storage.getDirectory();
  await files.removeEntry('models', { recursive: true }).catch(error => {
    if (error.name !== 'NotFoundError') throw error;
  });
}

const idleState = async () => page.idle();

let office;

async function openOffice(port) {
  if (!office) {
    office = new wasm_bindgen.Office(buildFrame, () => {});
    watchPower(office);
  }
  office.connect(port);
}

function closeOffice() {
  office?.close();
  office = undefined;
}

/** Not every browser tells of the power supply, and none tells every frame. */
async function watchPower(told) {
  const power = await navigator.getBattery?.().catch(() => undefined);
  if (!power) return;
  power.onchargingchange = () => told === office && told.power(power.charging);
  power.onchargingchange();
}

// A page that is in the background has its timers slowed to one a minute, which is too slow for
// heartbeats. A worker's are not.
let ticks;
/** A worker whose script can't be loaded is made again so much later. */
const TICKS_AGAIN_MS = 10_000;

/** The clock goes on by itself: that it rang, and is set anew, changes nothing. */
function setAlarm(on) {
  if (on === Boolean(ticks)) return;
  ticks?.terminate();
  ticks = undefined;
  if (!on) return;
  const made = ticks = new Worker('ticks.js');
  made.onmessage = async () => (await node).wake(office !== undefined);
  made.onerror = () => setTimeout(() => {
    if (ticks !== made) return;
    setAlarm(false);
    setAlarm(true);
  }, TICKS_AGAIN_MS);
}
