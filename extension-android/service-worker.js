// The service worker where there are no offscreen documents: node, supervisor and what infers (Rust)
// are all here, and everything works in slices. There is no sandbox, so no modules run.
importScripts('grid.js', 'inference.js', 'background.js');

const AGENT = 'grid-android';
const MODULES = false;

// Below: what the node calls.

let office;

const officeIsOpen = () => office !== undefined;

async function openOffice(port) {
  office ??= new wasm_bindgen.Office(undefined, () => {}, inferHere);
  office.connect(port);
}

function closeOffice() {
  office?.close();
  office = undefined;
}

function setAlarm(on, at) {
  if (on) chrome.alarms.create('wake', { when: at, periodInMinutes: 0.5 });
  else chrome.alarms.clear('wake');
}

// Most tokens of a slice: a quarter of a worker's, so that messages don't wait for long on a phone.
const CHUNK = 16;

// A new instance each time: when it has ended and is let go, its memory is free.
function inferHere(port, failed) {
  const inference = inferenceInstance();
  const started = inference({ module_or_path: 'inference_bg.wasm' }).then(() => inference.infer(port, CHUNK));
  started.catch(failed);
  return () => started.then(inferring => inferring.end(), () => {});
}
