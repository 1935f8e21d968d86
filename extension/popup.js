// The popup: shows what the node says of itself, sends what its owner changes.

const words = chrome.i18n.getMessage;
const $ = id => document.getElementById(id);
const points = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const bytes = new Intl.NumberFormat(undefined, {
  style: 'unit', unit: 'megabyte', maximumFractionDigits: 0,
});
const CHECKS = ['idle_only', 'on_battery', 'inference'];
let settings;

for (const element of document.querySelectorAll('[data-text]')) {
  element.textContent = words(element.dataset.text);
}

async function ask(message) {
  const view = await chrome.runtime.sendMessage(message);
  if (view.failed) throw new Error(view.failed);
  render(view);
}

function change(part) {
  settings = { ...settings, ...part };
  ask({ kind: 'settings', settings }).catch(fail);
}

function render(view) {
  settings = view.settings;
  document.body.dataset.state = view.state;
  $('switch').setAttribute('aria-checked', settings.on);
  say('word', words(`state_${view.state}`));
  say('why', words(`why_${view.why}`));
  say('error', view.error ?? '');
  $('error').hidden = !view.error;
  say('tasks', view.tasks.toLocaleString());
  say('points', points.format(view.points));
  say('node', view.node.slice(0, 8));
  $('node').title = view.node;
  say('version', words('version', view.version));
  renderRunning(view.running);

  unlessEdited('share', () => {
    $('share').value = settings.share;
    say('percent', `${settings.share}%`);
  });
  for (const id of CHECKS) $(id).checked = settings[id];
  unlessEdited('models_mib', () => ($('models_mib').value = settings.models_mib));
  say('models', words('models', [view.models.length, size(view.models.reduce((sum, m) => sum + m.bytes, 0))]));
  $('models').title = view.models.map(model => model.name).join(', ');
  $('empty').disabled = !view.models.length;
  unlessEdited('relay', () => ($('relay').value = settings.relay));
}

function renderRunning(running) {
  const list = $('running');
  while (list.children.length > running.length) list.lastChild.remove();
  while (list.children.length < running.length) list.append($('task').content.cloneNode(true));
  running.forEach((run, at) => {
    const [name, spent, bar] = list.children[at].children;
    const digest = run.module.slice(0, 8);
    name.textContent = run.runtime === 'infer' ? words('infer', [run.model, digest]) : words('task', digest);
    [spent.textContent, bar.value, bar.max] = progress(run);
    bar.ariaLabel = name.textContent;
  });
}

// How far a run is: in words, and as a part of a whole.
function progress({ runtime, loading, pieces, fuel, limit }) {
  if (loading) return [words('loading', loading.map(size)), ...loading];
  if (runtime === 'infer') return [words('pieces', String(pieces)), 0, 1];
  return [words('spent', [points.format(fuel / 1e9), points.format(limit / 1e9)]), fuel, limit];
}

const size = count => bytes.format(count / 1e6);

// The relay's signed acknowledgements, for `grid audit --ack`.
async function saveAcks() {
  const acks = await chrome.runtime.sendMessage({ kind: 'acks' });
  if (acks.failed) throw new Error(acks.failed);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(acks)], { type: 'application/json' }));
  link.download = 'grid-acks.json';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Only what changed, so that a screen reader isn't told the same twice a second.
function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function unlessEdited(id, update) {
  if (document.activeElement !== $(id)) update();
}

function fail(error) {
  say('error', String(error.message ?? error));
  $('error').hidden = false;
}

$('switch').onclick = () => settings && change({ on: !settings.on });
$('share').oninput = () => say('percent', `${$('share').value}%`);
$('share').onchange = () => change({ share: $('share').valueAsNumber });
for (const id of CHECKS) $(id).onchange = () => change({ [id]: $(id).checked });
$('relay').onchange = () => $('relay').reportValidity() && change({ relay: $('relay').value });
$('models_mib').onchange = () =>
  $('models_mib').reportValidity() && change({ models_mib: $('models_mib').valueAsNumber });
$('empty').onclick = () => ask({ kind: 'empty' }).catch(fail);
$('acks').onclick = () => saveAcks().catch(fail);
$('settings').onsubmit = event => event.preventDefault();

const refresh = () => ask({ kind: 'status' }).catch(fail);
refresh();
setInterval(refresh, 500);
