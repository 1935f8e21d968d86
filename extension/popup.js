// The popup: shows what the node says of itself, sends what its owner changes.

const words = chrome.i18n.getMessage;
const $ = id => document.getElementById(id);
const points = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const CHECKS = ['idle_only', 'on_battery'];
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
  unlessEdited('relay', () => ($('relay').value = settings.relay));
}

function renderRunning(running) {
  const list = $('running');
  while (list.children.length > running.length) list.lastChild.remove();
  while (list.children.length < running.length) list.append($('task').content.cloneNode(true));
  running.forEach((run, at) => {
    const [name, spent, bar] = list.children[at].children;
    name.textContent = words('task', run.module.slice(0, 8));
    spent.textContent = words('spent', [points.format(run.fuel / 1e9), points.format(run.limit / 1e9)]);
    bar.max = run.limit;
    bar.value = run.fuel;
    bar.ariaLabel = name.textContent;
  });
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
$('settings').onsubmit = event => event.preventDefault();

const refresh = () => ask({ kind: 'status' }).catch(fail);
refresh();
setInterval(refresh, 500);
