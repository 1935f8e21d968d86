// Browsers without the extension, for the node in a page and for the widget.
import puppeteer from 'puppeteer-core';
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '../../../examples/hosts/serve.mjs';
import { firefoxPath, PREFERENCES } from '../../engines/lib/firefox.mjs';
import { chromiumPath } from './args.mjs';
import { FLAGS } from './browser.mjs';
import { until } from './wait.mjs';

/** puppeteer 24 loses some frames that move into a process of their own. */
const ONE_PROCESS = '--disable-site-isolation-trials';

/** A fresh browser, which reaches `127.0.0.1` and `localhost`: two sites. `extension`: in Chromium. */
export async function fresh(t, engine, { isolated = false, preferences = {}, extension, flags = [] } = {}) {
  const browser = await puppeteer.launch(engine === 'firefox'
    ? {
      browser: 'firefox', executablePath: firefoxPath(), headless: true, args: ['--remote-allow-system-access'],
      extraPrefsFirefox: { ...PREFERENCES, 'network.proxy.no_proxies_on': '127.0.0.1, localhost, b.localhost', ...preferences },
    }
    : {
      executablePath: chromiumPath(), headless: true, pipe: true, enableExtensions: extension && [extension],
      args: [...FLAGS.slice(1), ...(isolated ? [] : [ONE_PROCESS]), ...flags],
    });
  t.after(() => browser.close());
  return browser;
}

/**
 * What a visitor of Chromium answers when a relay's frame on this page asks for storage access:
 * nobody sees a headless browser ask. It holds as long as the session does.
 */
export async function allow(browser, made, relay) {
  const session = await browser.target().createCDPSession();
  await session.send('Browser.setPermission', {
    permission: { name: 'storage-access' }, setting: 'granted',
    origin: new URL(made.url()).origin, embeddedOrigin: relay.url,
  });
}

/** A page, and what went wrong on it. */
export async function page(browser) {
  const made = await browser.newPage();
  made.complaints = [];
  made.on('pageerror', error => made.complaints.push(String(error)));
  made.on('console', message => {
    if (['error', 'warn', 'warning'].includes(message.type())) made.complaints.push(message.text());
  });
  return made;
}

/** The node's page of a relay, once it shows its controls. */
export async function tab(browser, relay, hash = '') {
  const made = await page(browser);
  await made.goto(`${relay.url}/node/${hash}`);
  return made;
}

export const ready = made => made.waitForSelector('#controls[data-state]', { timeout: 30_000 });

/** What the node in this document says of itself. */
export const view = where => where.evaluate(() => answer({ kind: 'status' }));

/** Sets it up so that a test doesn't wait for idle devices. */
export const change = (where, settings) =>
  where.evaluate(settings => answer({ kind: 'settings', settings }), settings);

/** Works at once and at full speed, whoever touches the page. */
const FULL = { cpu: 100, gpu: 100 };
export const EAGER = { on_battery: true, idle: FULL, in_use: FULL };

export async function switchOn(made) {
  await change(made, EAGER);
  await made.click('#switch');
  await until('the node waits for work', async () => (await view(made)).why === 'no_work', 40_000);
}

/** A site in a relay's list; its key. */
export function site(relay, origins, name = 'Harbour weather') {
  const flags = origins.flatMap(origin => ['--origin', origin]);
  const args = ['site', 'add', name, ...flags, '--data-dir', relay.data];
  return execFileSync(relay.binary, args, { encoding: 'utf8' }).trim();
}

/** `grid account` of a new account: its answers, which are JSON. */
export function account(t, relay) {
  const home = t.folder(mkdtempSync(join(tmpdir(), 'grid-home-')));
  const env = { ...process.env, XDG_CONFIG_HOME: home, HOME: home };
  const grid = (...args) => JSON.parse(execFileSync(t.options.gridBin,
    ['--relay', relay.url, '--json', 'account', ...args], { env, encoding: 'utf8' }));
  grid('new');
  return grid;
}

/**
 * A relay, and the sample pages at two other sites, `localhost` and `b.localhost`, which it lists as
 * one: `{relay, owner, key, here, there}`.
 */
export async function hosted(t, how = {}) {
  const relay = await t.relay({ believing: true, ...how });
  const told = { relay: relay.url };
  const hosts = await serve(told);
  t.after(hosts.stop);
  const here = `http://localhost:${hosts.port}`;
  const there = `http://b.localhost:${hosts.port}`;
  told.site = site(relay, [here, there]);
  return { relay, owner: relay.owner(), key: told.site, here, there };
}

/** A sample page, and all that it asked the relay for. */
export async function visit(browser, address, relay) {
  const made = await page(browser);
  made.asked = [];
  made.on('request', request => {
    if (request.url().startsWith(relay.url)) made.asked.push(new URL(request.url()).pathname);
  });
  await made.goto(address);
  await made.waitForFunction(() => customElements.get('grid-node'), { timeout: 30_000 });
  return made;
}

/** A click of the visitor's own in the middle of the widget. */
export async function clickWidget(made) {
  const at = await made.$eval('grid-node', element => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return [x + width / 2, y + height / 2];
  });
  await made.mouse.click(...at);
}

/** The widget's frame, once it shows an element. */
export function frame(made, selector) {
  return until(`the frame shows ${selector}`, async () => {
    const found = made.frames().find(frame => frame.url().includes('/embed/'));
    return found && await found.$eval(selector, element => element.checkVisibility()) && found;
  }, 30_000);
}

/**
 * A click of the visitor's own in the frame, which stands in the window's corner: the drivers can't
 * all say where a frame is that a closed shadow root holds. Chromium drops what is clicked in a
 * frame that moved a moment ago: it is clicked again.
 */
export async function tap(made, frame, selector) {
  const EDGE = 17;
  await frame.$eval(selector, element => {
    element.tapped = false;
    element.addEventListener('click', () => (element.tapped = true), { once: true });
  });
  const look = () => frame.$eval(selector, element => {
    const at = element.getBoundingClientRect();
    return [at.x + at.width / 2, at.y + at.height / 2, innerWidth, innerHeight, element.tapped];
  });
  await until(`${selector} is clicked`, async () => {
    if (frame.detached) return true; // It was: the widget closed it.
    const [x, y, width, height, tapped] = await look();
    if (tapped !== false) return true;
    const [right, bottom] = await made.evaluate(() =>
      [document.documentElement.clientWidth, innerHeight]);
    await made.mouse.click(right - EDGE - width + x, bottom - EDGE - height + y);
    return false;
  }, 30_000, 400);
}

/** Opens the frame; it can be agreed to. */
export async function question(made) {
  await clickWidget(made);
  const asks = await frame(made, '#agree');
  await until('it can be agreed to', () => asks.$eval('#agree', button => !button.disabled), 30_000);
  return asks;
}

/** Clicks the button, agrees, and waits until the node waits for work. */
export async function lend(made, { everywhere = false } = {}) {
  const asks = await question(made);
  if (everywhere) await tap(made, asks, '#everywhere');
  await tap(made, asks, '#agree');
  await state(made, 'waiting');
  return frame(made, '#stop');
}

/** Waits until the page is told this state. */
export const state = (made, ...states) => until(`the widget is ${states}`, async () => {
  const [now, why] = await made.evaluate(() => [gridNode.state, document.querySelector('grid-node')?.why]);
  if (!states.includes(now)) throw new Error(`it is ${now}: ${why}`);
  return true;
}, 40_000);
