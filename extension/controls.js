// The node's controls: the switch, what the node does and why, what it did. One module for the
// popup and for the relay's page; settings.js has what is set once.
//
// A host gives `ask(message)`, which resolves to the node's answer (README.md lists the messages)
// and rejects where the node failed, and `words(key, args)`, which is `chrome.i18n.getMessage` or
// does the same with the same _locales. It may give `openSettings()`, where the settings are
// elsewhere, and `mark`, the address of the picture.
import { explain, fill, formats, say, sync } from './words.js';

const MINUTE = 60_000;
/** What the button offers who doesn't want to wait until the device is left alone. */
const GENTLY = { cpu: 20, gpu: 0 };
const EVERY_MS = 500;
const HTML = `
<header>
  <img class="mark" alt="" width="28" height="28">
  <h1 data-text="name"></h1>
  <button id="switch" type="button" role="switch" aria-checked="false" aria-describedby="why">
    <span class="knob"></span>
    <span class="sr" data-text="switch"></span>
  </button>
</header>
<section id="state">
  <div role="status">
    <h2><span class="dot" aria-hidden="true"></span><span id="word"></span></h2>
    <p id="why"></p>
    <p id="error" class="bad" hidden></p>
    <p id="trouble" class="bad" hidden></p>
  </div>
  <ul id="running"></ul>
  <div class="acts" id="acts" hidden>
    <button id="stop" type="button" class="act" data-text="stop"></button>
    <button id="resume" type="button" class="act" data-text="resume" hidden></button>
    <button id="gently" type="button" class="act" data-text="gently" hidden></button>
    <details id="snooze">
      <summary class="act" data-text="snooze"></summary>
      <div class="menu">
        <button type="button" data-minutes="15" data-text="snooze_15"></button>
        <button type="button" data-minutes="60" data-text="snooze_60"></button>
        <button type="button" data-minutes="0" data-text="snooze_tomorrow"></button>
      </div>
    </details>
  </div>
</section>
<dl>
  <div><dt data-text="points_today"></dt><dd id="today">0</dd></div>
  <div><dt data-text="points"></dt><dd id="points">0</dd></div>
  <div><dt data-text="tasks"></dt><dd id="tasks">0</dd></div>
</dl>
<details id="done" hidden>
  <summary><h2 data-text="recent"></h2></summary>
  <ul id="recent"></ul>
</details>
<p id="giving" hidden><button id="give" type="button" class="link" data-text="invite_copy"></button>
  <span id="given" role="status"></span></p>
<template id="task">
  <li><span class="name"></span><span class="spent"></span><progress></progress><span class="since"></span><bdi class="publisher"></bdi></li>
</template>
<template id="receipt">
  <li>
    <span class="name"></span><span class="spent"></span>
    <time></time>
    <span class="links"><button type="button" class="link" data-text="check"></button> <a target="_blank" rel="noopener" data-text="in_the_log"></a></span>
    <span class="verdict" role="status"></span>
  </li>
</template>`;

/** Six in the morning after this moment, in local time. */
function tomorrow() {
  const at = new Date();
  at.setDate(at.getDate() + 1);
  at.setHours(6, 0, 0, 0);
  return at.getTime();
}

/** Draws the controls into `root`, and keeps them up to date until `stop` is called. */
export function controls(root, { ask, words, mark = 'icons/mark.svg' }) {
  root.classList.add('grid');
  root.replaceChildren(...new DOMParser().parseFromString(HTML, 'text/html').body.childNodes);
  const $ = id => root.querySelector(`#${id}`);
  const format = formats(words);
  root.querySelector('.mark').src = mark;
  fill(root, words);
  let view;
  let newest;
  /** Of receipts that were checked: the list moves on under them. */
  const verdicts = new Map();

  const told = answer => {
    view = answer;
    render();
  };
  const fail = error => {
    say($('error'), explain(words, error));
    $('error').hidden = false;
  };
  const tell = message => ask(message).then(told, fail);
  const change = settings => tell({ kind: 'settings', settings });

  function render() {
    const { on } = view.settings;
    root.dataset.state = view.state;
    $('switch').setAttribute('aria-checked', on);
    say($('word'), words(`state_${view.state}`));
    say($('why'), why());
    say($('error'), view.error ?? '');
    $('error').hidden = !view.error;
    say($('trouble'), view.trouble ? words('trouble', view.trouble) : '');
    $('trouble').hidden = !view.trouble;
    $('acts').hidden = !on;
    $('resume').hidden = view.why !== 'snoozed';
    $('gently').hidden = view.why !== 'device_in_use';
    $('snooze').hidden = view.why === 'snoozed';
    $('giving').hidden = !view.account.link;
    say($('today'), format.points(view.today.points));
    say($('points'), format.points(view.points));
    say($('tasks'), format.count(view.tasks));
    renderRunning(view.running);
    if (view.newest !== newest) {
      newest = view.newest;
      ask({ kind: 'recent' }).then(renderRecent, fail);
    }
  }

  function why() {
    const reason = words(`why_${view.why}`);
    if (!view.until) return reason;
    return `${reason} ${words('until', format.when(view.until))}`;
  }

  const title = ({ runtime, model, module }) => {
    const digest = module.slice(0, 8);
    return runtime === 'infer' ? words('infer', [model, digest]) : words('task', digest);
  };

  function renderRunning(running) {
    sync($('running'), $('task'), running, (item, run) => {
      const [name, spent, bar, since, publisher] = item.children;
      const [done, value, max] = progress(run);
      say(name, title(run));
      name.title = run.module;
      say(spent, done);
      [bar.value, bar.max, bar.ariaLabel] = [value, max, title(run)];
      say(since, words('since', [format.time(run.since), host(view.settings.relay)]));
      say(publisher, run.owner && words(run.job ? 'published_job' : 'published', [run.owner, run.job]));
    });
  }

  // How far a run is: in words, and as a part of a whole.
  function progress({ runtime, loading, pieces, fuel, limit }) {
    if (loading) return [words('loading', loading.map(format.bytes)), ...loading];
    if (runtime === 'infer') return [words('pieces', format.count(pieces)), 0, 1];
    return [words('spent', [fuel, limit].map(fuel => format.points(fuel / 1e9))), fuel, limit];
  }

  function renderRecent(receipts) {
    $('done').hidden = !receipts.length;
    sync($('recent'), $('receipt'), receipts, (item, receipt) => {
      const [name, spent, time, links, verdict] = item.children;
      const [check, log] = links.children;
      say(name, title(receipt));
      name.title = receipt.module;
      say(spent, words('earned', format.points(receipt.points)));
      say(time, format.when(receipt.at));
      time.dateTime = new Date(receipt.at).toISOString();
      fill(item, words);
      check.ariaLabel = words('check_of', title(receipt));
      check.onclick = () => checkReceipt(receipt).catch(fail);
      log.href = `${receipt.relay}/#/check/${receipt.seq}`;
      const found = verdicts.get(`${receipt.relay} ${receipt.seq}`);
      verdict.dataset.ok = found?.ok ?? '';
      say(verdict, found?.text ?? '');
    });
  }

  // The signatures, with the keys that this browser knows.
  async function checkReceipt({ relay, seq }) {
    const { signed, promised } = await ask({ kind: 'check', relay, seq });
    const word = signed ? promised ? 'receipt_good' : 'receipt_not_promised' : 'receipt_not_signed';
    verdicts.set(`${relay} ${seq}`, { ok: signed && promised, text: words(word, format.count(seq)) });
    renderRecent(await ask({ kind: 'recent' }));
  }

  $('give').onclick = () => navigator.clipboard.writeText(view.account.link)
    .then(() => say($('given'), words('copied')), fail);
  $('switch').onclick = () => view && change({ on: !view.settings.on, snooze_until: 0 });
  $('stop').onclick = () => change({ on: false, snooze_until: 0 });
  $('resume').onclick = () => change({ snooze_until: 0 });
  $('gently').onclick = () => change({ in_use: GENTLY });
  for (const button of root.querySelectorAll('[data-minutes]')) {
    button.onclick = () => {
      const minutes = Number(button.dataset.minutes);
      $('snooze').open = false;
      change({ snooze_until: minutes ? Date.now() + minutes * MINUTE : tomorrow() });
    };
  }
  const refresh = () => tell({ kind: 'status' });
  refresh();
  const timer = setInterval(refresh, EVERY_MS);
  return { stop: () => clearInterval(timer) };
}

const host = address => {
  try {
    return new URL(address).host;
  } catch {
    return address;
  }
};
