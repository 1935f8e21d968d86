// The node's settings: what its owner sets once. One module for the options page and for the
// relay's page; controls.js says what the host gives. `fixed` names fields that the host sets
// itself, `tellPages()` tells the relay's pages of this node, `hereHint()` says what else there is to
// say of "While I'm here", and account.js draws the account.
import { account } from './account.js';
import { explain, fill, formats, save, say } from './words.js';

const HTML = `
<p id="settings_error" class="bad" role="alert" hidden></p>
<form id="settings">
  <fieldset>
    <legend data-text="how_much"></legend>
    <p class="soft" data-text="how_much_hint"></p>
    <div class="shares">
      <span></span><span class="soft" data-text="processor"></span><span class="soft" data-text="graphics"></span>
      <span data-text="idle"></span>
      <label class="range"><input id="idle_cpu" data-share="idle.cpu" data-label="idle_cpu" type="range" min="5" max="100" step="5"><output></output></label>
      <label class="range"><input id="idle_gpu" data-share="idle.gpu" data-label="idle_gpu" type="range" min="0" max="100" step="5"><output></output></label>
      <span data-text="in_use"></span>
      <label class="range"><input id="in_use_cpu" data-share="in_use.cpu" data-label="in_use_cpu" aria-describedby="here_hint" type="range" min="0" max="100" step="5"><output></output></label>
      <label class="range"><input id="in_use_gpu" data-share="in_use.gpu" data-label="in_use_gpu" aria-describedby="here_hint" type="range" min="0" max="100" step="5"><output></output></label>
    </div>
    <p id="here_hint" class="soft" hidden></p>
  </fieldset>
  <fieldset>
    <legend data-text="when"></legend>
    <label class="check"><input id="mains" type="checkbox" aria-describedby="mains_hint"><span data-text="mains"></span></label>
    <p id="mains_hint" class="soft hint"></p>
    <label class="check"><input id="timed" type="checkbox"><span data-text="timed"></span></label>
    <div id="hours" hidden>
      <div class="times">
        <label><span data-text="from"></span> <input id="from" type="time" required></label>
        <label><span data-text="to"></span> <input id="to" type="time" required></label>
      </div>
      <div id="days" role="group" data-label="days"></div>
      <p class="soft hint" data-text="hours_hint"></p>
    </div>
  </fieldset>
  <fieldset>
    <legend data-text="models_group"></legend>
    <label class="check"><input id="inference" type="checkbox"><span data-text="inference"></span></label>
    <label class="line"><span data-text="models_mib"></span>
      <input id="models_mib" type="number" min="0" max="65536" step="1" required></label>
    <p class="line soft"><span id="models"></span>
      <button id="empty" type="button" class="act" data-text="empty"></button></p>
  </fieldset>
  <fieldset id="account"></fieldset>
  <fieldset>
    <legend data-text="relay"></legend>
    <label class="text"><span data-text="relay_address"></span>
      <input id="relay" type="url" spellcheck="false" autocomplete="off" required></label>
    <p class="soft" data-text="acks_hint"></p>
    <button id="acks" type="button" class="act" data-text="acks"></button>
    <div id="pages">
      <p class="soft" data-text="pages_know_hint"></p>
      <button id="pages_know" type="button" class="act" data-text="pages_know"></button>
    </div>
  </fieldset>
  <fieldset>
    <legend data-text="about"></legend>
    <p><span id="version"></span> · <span data-text="node"></span> <code id="node"></code></p>
    <p class="soft" data-text="about_hint"></p>
  </fieldset>
</form>`;
const CHECKS = ['inference'];
const EVERY_MS = 1_000;
/** A Monday, 00:00 UTC. */
const MONDAY = Date.UTC(2024, 0, 1);

const minutes = text => {
  const [hour, minute] = text.split(':').map(Number);
  return hour * 60 + minute;
};
const clock = minutes =>
  [minutes / 60, minutes % 60].map(part => String(Math.floor(part)).padStart(2, '0')).join(':');

/** Draws the settings into `root`, and keeps them up to date until `stop` is called. */
export function settings(root, {
  ask, words, fixed = [], tellPages, hereHint = () => '', tellsPower = 'getBattery' in navigator,
}) {
  root.classList.add('grid');
  root.replaceChildren(...new DOMParser().parseFromString(HTML, 'text/html').body.childNodes);
  const $ = id => root.querySelector(`#${id}`);
  const format = formats(words);
  fill(root, words);
  $('mains').disabled = !tellsPower;
  if (tellPages) $('pages_know').onclick = () => tellPages().catch(fail);
  else $('pages').remove();
  for (const name of fixed) $(name)?.closest('label, fieldset').remove();
  for (let day = 0; day < 7; day += 1) {
    const label = document.createElement('label');
    const box = Object.assign(document.createElement('input'), { type: 'checkbox' });
    const at = MONDAY + day * 86_400_000;
    box.ariaLabel = format.weekdayLong(at);
    label.append(box, format.weekday(at));
    $('days').append(label);
  }
  const days = [...$('days').querySelectorAll('input')];
  const sliders = [...root.querySelectorAll('[data-share]')];
  let view;

  const fail = error => {
    say($('settings_error'), explain(words, error));
    $('settings_error').hidden = false;
  };
  const tell = message => ask(message).then(render, fail);
  const change = settings => tell({ kind: 'settings', settings });
  const unlessEdited = (element, update) => {
    if (element && document.activeElement !== element) update(element);
  };
  const owner = account($('account'), { ask, words, told: render });

  function render(answer) {
    view = answer;
    const { settings } = view;
    root.dataset.ready = '';
    say($('settings_error'), view.trouble ? words('trouble', view.trouble) : '');
    $('settings_error').hidden = !view.trouble;
    for (const slider of sliders) {
      const [when, what] = slider.dataset.share.split('.');
      unlessEdited(slider, () => {
        slider.value = settings[when][what];
        showShare(slider);
      });
    }
    say($('here_hint'), hereHint());
    $('here_hint').hidden = !hereHint();
    $('mains').checked = !settings.on_battery;
    const pauses = settings.on_battery ? '' : words('mains_hint');
    say($('mains_hint'), tellsPower ? pauses : words('mains_unknown'));
    for (const id of CHECKS) $(id).checked = settings[id];
    renderHours(settings.hours);
    unlessEdited($('models_mib'), input => (input.value = settings.models_mib));
    unlessEdited($('relay'), input => (input.value = settings.relay));
    const kept = view.models.reduce((sum, model) => sum + model.bytes, 0);
    say($('models'), words('models', [format.count(view.models.length), format.bytes(kept)]));
    $('models').title = view.models.map(model => model.name).join(', ');
    $('empty').disabled = !view.models.length;
    owner.render(view);
    say($('node'), view.node.slice(0, 8));
    $('node').title = view.node;
    say($('version'), words('version', view.version));
  }

  // A share of nothing is a word.
  function showShare(slider) {
    const value = slider.valueAsNumber;
    const text = value ? format.percent(value) : words('nothing');
    say(slider.nextElementSibling, text);
    slider.ariaValueText = text;
  }

  function renderHours(hours) {
    $('timed').checked = Boolean(hours);
    $('hours').hidden = !hours;
    if (!hours) return;
    unlessEdited($('from'), input => (input.value = clock(hours.from)));
    unlessEdited($('to'), input => (input.value = clock(hours.to % 1440)));
    days.forEach((box, day) => (box.checked = Boolean(hours.days >> day & 1)));
  }

  function changeHours() {
    if (!$('from').reportValidity() || !$('to').reportValidity()) return;
    change({
      hours: {
        from: minutes($('from').value),
        to: minutes($('to').value),
        days: days.reduce((bits, box, day) => bits | box.checked << day, 0),
      },
    });
  }

  // The relay's signed acknowledgements, for `grid audit --ack`.
  async function saveAcks() {
    save('grid-acks.json', JSON.stringify(await ask({ kind: 'acks' })));
  }

  for (const slider of sliders) {
    const [when, what] = slider.dataset.share.split('.');
    slider.oninput = () => showShare(slider);
    slider.onchange = () =>
      change({ [when]: { ...view.settings[when], [what]: slider.valueAsNumber } });
  }
  $('mains').onchange = () => change({ on_battery: !$('mains').checked });
  for (const id of CHECKS) $(id).onchange = () => change({ [id]: $(id).checked });
  $('timed').onchange = () =>
    change({ hours: $('timed').checked ? { from: 22 * 60, to: 6 * 60, days: 127 } : null });
  for (const input of [$('from'), $('to'), ...days]) input.onchange = changeHours;
  $('models_mib').onchange = () =>
    $('models_mib').reportValidity() && change({ models_mib: $('models_mib').valueAsNumber });
  if ($('relay')) {
    $('relay').onchange = () => $('relay').reportValidity() && change({ relay: $('relay').value });
  }
  $('empty').onclick = () => tell({ kind: 'empty' });
  $('acks').onclick = () => saveAcks().catch(fail);
  $('settings').onsubmit = event => event.preventDefault();

  const refresh = () => tell({ kind: 'status' });
  refresh();
  const timer = setInterval(refresh, EVERY_MS);
  return { stop: () => clearInterval(timer) };
}
