// The frame that a site's page holds: asks, runs the node while all of it can be seen, and always
// shows a Stop. The page that holds it may say hello and stop it; nothing it says starts anything.
import { agreement } from './consent.js';
import { load } from './language.js';
import { one } from './one.js';
import { guard, watch } from './seen.js';
import { fill, formats, say } from './words.js';

const $ = id => document.getElementById(id);
const TICK_MS = 500;
/** What a visitor lends, whatever was set before. */
const LENT = {
  relay: location.origin, idle: { cpu: 20, gpu: 0 }, in_use: { cpu: 0, gpu: 0 },
  snooze_until: 0, hours: null, on_battery: false, inference: false,
};
const SITE = location.pathname.split('/').at(-1);

if (parent === window) location.replace('/node/'); // A tab of its own has a page of its own.

/** The page said so, perhaps before there is anything to stop. */
let stopped = false;
let ready = false;

const hello = await new Promise(heard => {
  addEventListener('message', ({ source, origin, data }) => {
    if (source !== parent) return;
    if (data?.grid === 'stop') {
      stopped = true;
      if (ready) stop(false);
    }
    if (data?.grid === 'hello') heard({ ...data, origin });
  });
});
if (['light', 'dark'].includes(hello.theme)) document.documentElement.dataset.theme = hello.theme;
const words = await load([String(hello.language), ...navigator.languages]);
const format = formats(words);
document.documentElement.lang = words('lang');
fill(document, words);

const site = await (await fetch(`${location.pathname}.json`)).json();
if (site.account) {
  const invitation = await fetch(`/v1/invitations/${SITE}`);
  if (invitation.ok) site.share_ppm = (await invitation.json()).share_ppm;
}
const agreed = agreement(SITE, page.local);
await agreed.look();

const told = {};
/** What the page that holds this frame is told. */
function tell(state, why = '', more = {}) {
  const height = Math.ceil($('ask').closest('main').getBoundingClientRect().height);
  if (told.state === state && told.why === why && told.height === height) return;
  Object.assign(told, { state, why, height });
  parent.postMessage({ grid: state, why, height, ...more }, hello.origin);
}
new ResizeObserver(() => told.state && tell(told.state, told.why)).observe(document.querySelector('main'));

/** Who gets the points. */
function points() {
  if (!site.account) return words('ask_points_own');
  if (!site.share_ppm) return words('ask_points_site', site.name);
  return words('ask_points_share', [site.name, format.percent(site.share_ppm / 10_000)]);
}

/** `first`: it is what a click opened, not what a node that ran comes back to. */
function ask(first) {
  $('runs').hidden = true;
  $('ask').hidden = false;
  $('again').hidden = !agreed.over();
  say($('title'), words('ask_title', site.name));
  say($('points'), points());
  const end = guard($('agree'), document.body, $('end'), why => {
    say($('guard'), why && words(`guard_${why}`));
  });
  $('ask').onsubmit = event => event.preventDefault();
  $('agree').onclick = event => {
    if (!event.isTrusted || $('agree').disabled) return;
    end();
    // For every site, the node is another browser's to the relay: as one that starts anew.
    agreed.give($('everywhere').checked).then(widened => widened && location.reload());
    run();
  };
  $('decline').onclick = () => {
    end();
    tell('off');
  };
  tell('asking', '', { focus: first });
}

let seen = false;
let timer;
/** Once this frame has the node. */
let started;
/** By what the relay knows this browser. */
let browser;

function run() {
  $('ask').hidden = true;
  $('runs').hidden = false;
  say($('for_site'), words('for_site', site.name));
  render({ state: 'connecting', why: 'joining' });
  if (started) return switchOn();
  // Not seen: no work. Nobody asks for more than this page, so nothing else counts.
  page.idle = () => (seen ? 'idle' : 'active');
  page.settings = LENT;
  watch($('runs').querySelector('.bar'), async now => {
    seen = now;
    (await node).idle(page.idle());
  });
  one({
    mine: start,
    lost: () => location.reload(),
    theirs: (view = { state: 'connecting' }) => render(view, words('elsewhere_site')),
    view: () => answer({ kind: 'status' }),
  });
}

async function start() {
  page.given = {
    settings: LENT,
    account: { invitation: SITE },
    browser: (browser = agreed.browser()),
  };
  try {
    started = await page.start('grid-widget');
    // It was stopped meanwhile, here or in the document that had the node.
    if (!agreed.until()) return tell('off');
    await switchOn();
  } catch (error) {
    render({ state: 'paused' }, words('frame_failed', String(error.message ?? error)));
  }
}

async function switchOn() {
  await answer({ kind: 'settings', settings: { on: true } });
  timer = setInterval(tick, TICK_MS);
  tick();
}

const switchOff = () => {
  clearInterval(timer);
  return started && answer({ kind: 'settings', settings: { on: false } });
};

async function tick() {
  // The relay's page may have told every site another one: the extension's.
  if (agreed.until() && agreed.browser() !== browser) return location.reload();
  if (!agreed.until()) {
    if (!agreed.over()) return stop(false);
    await switchOff();
    return ask(false);
  }
  render(await answer({ kind: 'status' }));
}

function render(view, why) {
  // For a moment after it is switched on, the node waits to hear of the power supply.
  if (view.state === 'off') view = { ...view, state: 'connecting', why: 'joining' };
  const hidden = document.hidden ? 'hidden_tab' : 'hidden';
  why ??= words(view.why === 'device_in_use' ? hidden : `why_${view.why}`);
  document.body.dataset.state = view.state;
  say($('word'), words(`state_${view.state}`));
  say($('why'), why);
  if (view.tasks !== undefined) {
    say($('done'), `${words('tasks')}: ${format.count(view.tasks)}. ${words('points')}: ${format.points(view.points)}.`);
  }
  const until = new Date(agreed.until() ?? 0).toLocaleString(words('lang'), { dateStyle: 'short', timeStyle: 'short' });
  const everywhere = agreed.forEverySite();
  say($('holds'), page.kept
    ? words(everywhere ? 'shared' : 'until', until) + (agreed.refused() ? ` ${words('here_only')}` : '')
    : words('here_memory'));
  $('withdraw').hidden = !everywhere;
  tell(view.state, why);
}

$('stop').onclick = () => stop(false);
$('withdraw').onclick = () => stop(true);

async function stop(everywhere) {
  agreed.withdraw(everywhere);
  await switchOff();
  tell('off');
}

ready = true;
if (stopped) stop(false);
else if (agreed.until()) run();
else if (hello.resume) tell('off');
else ask(true);
