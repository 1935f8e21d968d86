// The node in a tab of its own: what the extension's popup and options show, in one page.
import { controls } from './controls.js';
import { adopt, browserId, share } from './identity.js';
import { idleness } from './idle.js';
import { load } from './language.js';
import { keep, reachable } from './offline.js';
import { one } from './one.js';
import { settings } from './settings.js';
import { explain, fill, say } from './words.js';

const $ = id => document.getElementById(id);

// `#invite=CODE`: by whose invitation. `#extension=ID`: the extension works in this browser.
const asked = new URLSearchParams(location.hash.slice(1));
history.replaceState(null, '', location.pathname);

const words = await load();
document.documentElement.lang = words('lang');
document.title = words('tab_title');
fill(document, words);
$('memory').hidden = page.kept;
reachable(there => ($('offline').hidden = there));

const idle = idleness(async state => (await node).idle(state));
page.idle = idle.state;
page.settings = { relay: location.origin };

const view = () => answer({ kind: 'status' });
$('take').onclick = one({ mine, lost: () => location.reload(), theirs, view });

function theirs(view) {
  $('elsewhere').hidden = false;
  say($('there'), view ? `${words(`state_${view.state}`)}. ${words(`why_${view.why}`)}` : '');
}

function fail(text) {
  say($('failed'), text);
  $('failed').hidden = false;
}

async function mine() {
  $('elsewhere').hidden = true;
  try {
    page.given.browser = browserId(page.local);
    share(page.given.browser);
    await page.start('grid-tab');
  } catch (error) {
    return fail(words('start_failed', String(error.message ?? error)));
  }
  const host = { ask: answer, words };
  $('own').hidden = false;
  controls($('controls'), host);
  const hereHint = () => (idle.detects() ? '' : words('own_input'));
  settings($('settings_panel'), { ...host, fixed: ['relay'], hereHint });
  keep();
  // With the switch there already: this node may run.
  if (asked.has('invite')) {
    answer({ kind: 'invited', code: asked.get('invite') }).catch(error => fail(explain(words, error)));
  }
  const detect = await idle.detect();
  $('detect').hidden = !detect;
  $('detect').onclick = async () => {
    await detect();
    $('detect').hidden = true;
  };
}

$('extension').hidden = !asked.has('extension');
$('know').onclick = () => {
  adopt(page.local, asked.get('extension'));
  location.reload();
};
