// For who owns a site: its origins, its points, and what to paste.
import { load } from './language.js';
import { fill, formats, say } from './words.js';

const $ = id => document.getElementById(id);
const words = await load();
const format = formats(words);
document.documentElement.lang = words('lang');
document.title = words('setup_title');
fill(document, words);

async function json(path) {
  const answer = await fetch(path);
  return answer.ok ? answer.json() : undefined;
}

/** What the site's account earned by its visitors; nothing where it has none. */
async function points({ account }) {
  if (!account) return words('setup_no_points');
  const person = await json(`/v1/accounts/${account}`);
  const fuel = person?.points.site;
  return fuel === undefined ? words('setup_points_of', account.slice(0, 16)) : format.points(fuel / 1e9);
}

async function show(key) {
  const site = await json(`/embed/${encodeURIComponent(key)}.json`);
  $('unknown').hidden = Boolean(site);
  say($('unknown'), site ? '' : words('setup_unknown'));
  $('site').hidden = !site;
  if (!site) return;
  // Its own address: a fragment alone is one of the base's.
  history.replaceState(null, '', `${location.pathname}#${site.key}`);
  say($('name'), site.name);
  say($('origins'), site.origins.join(' '));
  say($('points'), await points(site));
  say($('snippet'), `<script type="module" src="${location.origin}/embed.js" data-site="${site.key}"></script>\n`
    + '<grid-node><svg width="280" height="56"></svg></grid-node>');
  say($('policy'), `script-src ${location.origin}; frame-src ${location.origin}`);
}

$('find').onsubmit = event => {
  event.preventDefault();
  show($('key').value.trim());
};
$('copy').onclick = async () => {
  await navigator.clipboard.writeText($('snippet').textContent);
  say($('copy'), words('setup_copied'));
};
if (location.hash.length > 1) {
  $('key').value = location.hash.slice(1);
  show($('key').value);
}
