// Browsers without the extension, for the node in a page and for the widget.
import puppeteer from 'puppeteer-core';
import { firefoxPath, PREFERENCES } from '../../engines/lib/firefox.mjs';
import { chromiumPath } from './args.mjs';
import { FLAGS } from './browser.mjs';
import { until } from './wait.mjs';

/** A fresh browser, which reaches `127.0.0.1` and `localhost`: two sites. */
export async function fresh(t, engine, { flags = [], preferences = {} } = {}) {
  const browser = await puppeteer.launch(engine === 'firefox'
    ? {
      browser: 'firefox', executablePath: firefoxPath(), headless: true, args: ['--remote-allow-system-access'],
      extraPrefsFirefox: { ...PREFERENCES, 'network.proxy.no_proxies_on': '127.0.0.1, localhost', ...preferences },
    }
    : { executablePath: chromiumPath(), headless: true, pipe: true, args: [...FLAGS.slice(1), ...flags] });
  t.after(() => browser.close());
  return browser;
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
