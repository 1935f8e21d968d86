// Headless Chromium with the unpacked extension, driven through its popup.
import { chromium } from 'playwright-core';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromiumPath } from './args.mjs';
import { removed, until } from './wait.mjs';

export const FLAGS = [
  '--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-dev-shm-usage',
];

/** The same share of everything, whether its owner is there or not. */
export function shares(percent) {
  const all = { cpu: percent, gpu: percent };
  return { idle: all, in_use: all };
}

/** Settings of a node that works as much as a test wants. */
export function settingsOf(relay, { share = 100, idleOnly = false, onBattery = false } = {}) {
  const settings = { relay, ...shares(share), on_battery: onBattery };
  return idleOnly ? { ...settings, in_use: { cpu: 0, gpu: 0 } } : settings;
}

export class Browser {
  static async start(extension, flags = []) {
    const browser = new Browser();
    browser.profile = mkdtempSync(join(tmpdir(), 'grid-chromium-'));
    browser.context = await chromium.launchPersistentContext(browser.profile, {
      executablePath: chromiumPath(),
      headless: true,
      chromiumSandbox: false,
      ignoreDefaultArgs: ['--disable-extensions'],
      args: [...FLAGS, ...flags, `--disable-extensions-except=${extension}`, `--load-extension=${extension}`],
    });
    const worker = browser.context.serviceWorkers()[0]
      ?? await browser.context.waitForEvent('serviceworker');
    browser.id = new URL(worker.url()).host;
    return browser;
  }

  /** The service worker, to evaluate in. That starts one that is stopped. */
  get worker() {
    return this.context.serviceWorkers().at(-1);
  }

  /** A page of the extension. */
  async open(file, viewport = { width: 1024, height: 800 }) {
    const page = await this.context.newPage();
    await page.setViewportSize(viewport);
    await page.goto(`chrome-extension://${this.id}/${file}`);
    return page;
  }

  async popup() {
    const popup = await this.open('popup.html', { width: 372, height: 600 });
    await popup.waitForSelector('[data-state]');
    return popup;
  }

  async options() {
    const options = await this.open('options.html');
    await options.waitForSelector('[data-ready]');
    return options;
  }

  /** Changes settings, as the options page does. */
  async change(settings) {
    await this.ask({ kind: 'settings', settings });
  }

  /** Sets the node up, and switches it on as its owner would. */
  async switchOn(relay, how) {
    await this.change(settingsOf(relay, how));
    await this.page.locator('#switch').click();
    await until('the node is on', async () => (await this.view()).settings.on);
  }

  /** The node has joined and waits for work. */
  async joined() {
    await until('the node waits for work', async () => (await this.view()).why === 'no_work', 30_000);
  }

  async closePopup() {
    await this.page?.close();
    this.page = undefined;
  }

  /** Sends a message as a page of the extension does. */
  async ask(message) {
    const popup = this.page ?? (this.page = await this.popup());
    return popup.evaluate(message => chrome.runtime.sendMessage(message), message);
  }

  /** What the pages are shown. */
  view() {
    return this.ask({ kind: 'status' });
  }

  async click(selector) {
    await this.page.locator(selector).click();
  }

  /** Sends one command to the browser. */
  async command(name, values = {}) {
    this.session ??= await this.context.browser().newBrowserCDPSession();
    return this.session.send(name, values);
  }

  /** Stops the service worker as Chromium does. */
  async stopWorker() {
    const { targetInfos } = await this.command('Target.getTargets');
    const { targetId } = targetInfos.find(({ type }) => type === 'service_worker');
    await this.command('Target.closeTarget', { targetId });
  }

  /** CPU seconds that each of the browser's processes has used. */
  async cpu() {
    const { processInfo } = await this.command('SystemInfo.getProcessInfo');
    return new Map(processInfo.map(({ id, cpuTime }) => [id, cpuTime]));
  }

  async stop() {
    await this.context.close();
    await removed(this.profile);
  }
}
