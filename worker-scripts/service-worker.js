// Chrome's service worker: the node. The supervisor is in the offscreen document.
importScripts('grid.js', 'background.js');

const AGENT = 'grid-chrome';
const MODULES = true;

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

const officeIsOpen = () => chrome.offscreen.hasDocument();

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

function setAlarm(on, at) {
  if (on) chrome.alarms.create('wake', { when: at, periodInMinutes: 0.5 });
  else chrome.alarms.clear('wake');
}
