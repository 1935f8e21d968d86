// How long the background lives, in browsers that no debugger holds up: all the time while the node
// is on, and not for long while it is off.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firefoxPath, PREFERENCES } from '../../engines/lib/firefox.mjs';
import { chromiumPath } from '../lib/args.mjs';
import { FLAGS } from '../lib/browser.mjs';
import { EMBED, run } from './infer.mjs';
import { countdown } from '../lib/modules.mjs';
import { overlay, script } from '../lib/overlay.mjs';
import { tinyModels } from '../lib/tiny.mjs';
import { until } from '../lib/wait.mjs';
import { zipped } from '../lib/zip.mjs';

/** Both browsers end an idle background after 30 s. */
const IDLE_MS = 40_000;
/** A background that lives says so once a second. */
const SILENT_MS = 6_000;
/** Time enough to start, to be idle, and to be missed, on a slow machine. */
const SNOOZE_MS = 100_000;

/**
 * Hears the backgrounds: how often one started, and when one last lived. Tells whoever asks whether
 * the device is plugged in.
 */
async function witness(t) {
  const seen = { starts: 0, heard: 0, plugged: false };
  const server = createServer(({ url }, answer) => {
    answer.setHeader('access-control-allow-origin', '*');
    if (url === '/plugged') return answer.end(String(seen.plugged));
    if (url === '/start') seen.starts += 1;
    seen.heard = Date.now();
    answer.end();
  });
  await new Promise(ready => server.listen(0, '127.0.0.1', ready));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  seen.url = `http://127.0.0.1:${server.address().port}`;
  return seen;
}

/** A package that has these settings stored, and tells the witness. */
function telling(t, name, { url }, settings) {
  return overlay(t, {
    of: join(t.options.dist, name),
    before: {
      'background.js': script((url, settings) => {
        const tell = path => fetch(url + path).catch(() => {});
        tell('/start');
        setInterval(() => tell('/alive'), 1_000);
        const get = chrome.storage.local.get.bind(chrome.storage.local);
        chrome.storage.local.get = async key => ({ settings, ...await get(key) });
      }, url, settings),
    },
  });
}

function started(t, program, args) {
  const browser = spawn(program, args, { stdio: 'ignore' });
  const ended = new Promise(done => browser.once('exit', done));
  t.after(() => {
    browser.kill('SIGTERM');
    return ended;
  });
}

/** A browser's processes write until they end, one after the other: the folder is removed last. */
const profileOf = (t, name) => t.folder(mkdtempSync(join(tmpdir(), `grid-${name}-`)));

function startChromium(t, extension) {
  const profile = profileOf(t, 'chromium');
  started(t, chromiumPath(), [
    ...FLAGS, `--user-data-dir=${profile}`, `--disable-extensions-except=${extension}`,
    `--load-extension=${extension}`, 'about:blank',
  ]);
}

/** Firefox takes an extension that lies in its profile, where its owner allows unsigned ones. */
function startFirefox(t, extension, id) {
  const profile = profileOf(t, 'firefox');
  const preferences = {
    ...PREFERENCES, 'extensions.autoDisableScopes': 0, 'xpinstall.signatures.required': false,
  };
  const line = ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`;
  writeFileSync(join(profile, 'user.js'), Object.entries(preferences).map(line).join(''));
  mkdirSync(join(profile, 'extensions'));
  writeFileSync(join(profile, 'extensions', `${id}.xpi`), zipped(extension));
  started(t, firefoxPath(), ['--headless', '--no-remote', '--profile', profile, 'about:blank']);
}

const modules = owner => owner.run(countdown(1)).then(({ reason }) => assert.equal(reason, 'exit'));
const models = owner => run(owner, tinyModels().bert, 'embed', EMBED);

const PACKAGES = {
  Chromium: {
    chrome: { start: startChromium, work: modules },
    android: { start: startChromium, work: models },
  },
  Firefox: {
    firefox: { start: (t, folder) => startFirefox(t, folder, 'grid@example'), work: models },
    'firefox-full': { start: (t, folder) => startFirefox(t, folder, 'grid-full@example'), work: modules },
  },
};

/** On: it lives, with one socket, and works afterwards. */
async function stays(t, name, { start, work }) {
  const { bert } = tinyModels();
  const relay = await t.relay({ counted: true, models: [bert], believing: true });
  const seen = await witness(t);
  const settings = { on: true, relay: relay.url, share: 100, idle_only: false, on_battery: true };
  start(t, telling(t, name, seen, settings));
  const online = async () => (await relay.network()).nodes_online;
  await until(`${name} joins`, async () => await online() === 1, 60_000);
  const joined = Date.now();
  await until('an idle one would be dead', () => Date.now() - joined > IDLE_MS, 2 * IDLE_MS, 1_000);
  assert.equal(await online(), 1, `${name} is there`);
  await work(relay.owner());
  assert.equal(relay.sockets, 1, `${name}: one socket all the time`);
  assert.equal(seen.starts, 1, `${name}: one background all the time`);
}

/** Off: the browser ends it, and nothing brings it back. */
async function ends(t, name, { start }) {
  const relay = await t.relay({ counted: true });
  const seen = await witness(t);
  start(t, telling(t, name, seen, { on: false, relay: relay.url }));
  await until(`${name} started`, () => seen.starts === 1, 60_000);
  await until(`${name} ended`, () => Date.now() - seen.heard > SILENT_MS, 110_000, 500);
  assert.equal(seen.starts, 1, `${name}: nothing brought it back`);
  assert.equal(relay.sockets, 0, `${name}: no socket`);
}

/**
 * It hears of nobody's coming and going: Firefox starts an event page for that, even headless, after
 * a minute and again each time that it has ended it.
 */
const DEAF = script(() => Object.defineProperty(chrome, 'idle', { value: undefined }));

/** Snoozed: the browser ends it, nothing brings it back before the snooze ends, and then it works. */
async function rests(t, name, { start, work }) {
  const { bert } = tinyModels();
  const relay = await t.relay({ counted: true, models: [bert], believing: true });
  const seen = await witness(t);
  const end = Date.now() + SNOOZE_MS;
  const settings = { on: true, relay: relay.url, share: 100, idle_only: false, on_battery: true, snooze_until: end };
  start(t, overlay(t, { of: telling(t, name, seen, settings), before: { 'background.js': DEAF } }));
  await until(`${name} started`, () => seen.starts === 1, 60_000);
  await until(`${name} ended`, () => Date.now() - seen.heard > SILENT_MS, end - Date.now(), 500);
  assert.equal(relay.sockets, 0, `${name}: no socket`);
  await until(`${name} is back`, async () => (await relay.network()).nodes_online === 1, 120_000, 500);
  assert.ok(Date.now() >= end, `${name}: not before its time`);
  assert.equal(relay.sockets, 1, `${name}: one socket`);
  assert.equal(seen.starts, 2, `${name}: started once more`);
  await work(relay.owner());
}

/** The offscreen document's power supply is what the witness says. */
const SUPPLY = url => script(url => {
  const battery = { charging: false };
  navigator.getBattery = async () => battery;
  setInterval(async () => {
    const now = await fetch(`${url}/plugged`).then(answer => answer.text()) === 'true';
    if (now === battery.charging) return;
    battery.charging = now;
    battery.onchargingchange();
  }, 1_000);
}, url);

const tests = {};
for (const [browser, packages] of Object.entries(PACKAGES)) {
  tests[`${browser}'s packages stay while they are on, work afterwards, and end while they are off`] = t =>
    Promise.all(Object.entries(packages).flatMap(([name, how]) => [stays(t, name, how), ends(t, name, how)]));
  tests[`${browser}'s packages end while they are snoozed, and come back`] = t =>
    Promise.all(Object.entries(packages).map(([name, how]) => rests(t, name, how)));
}

tests['on battery, Chromium ends the service worker, and the plug brings it back'] = async t => {
  const relay = await t.relay({ counted: true, believing: true });
  const seen = await witness(t);
  const settings = { on: true, relay: relay.url, share: 100, idle_only: false, on_battery: false };
  const extension = telling(t, 'chrome', seen, settings);
  startChromium(t, overlay(t, { of: extension, before: { 'offscreen.js': SUPPLY(seen.url) } }));
  await until('it started', () => seen.starts === 1, 60_000);
  await until('it ended', () => Date.now() - seen.heard > SILENT_MS, 110_000, 500);
  assert.deepEqual([seen.starts, relay.sockets], [1, 0]);
  seen.plugged = true;
  await until('it is back', async () => (await relay.network()).nodes_online === 1, 60_000, 500);
  assert.equal(seen.starts, 2, 'started once more');
  await modules(relay.owner());
};

export default tests;
