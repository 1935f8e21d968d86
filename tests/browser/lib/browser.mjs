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

export class Browser {
  static async start(extension) {
    const browser = new Browser();
    browser.profile = mkdtempSync(join(tmpdir(), 'grid-chromium-'));
    browser.context = await chromium.launchPersistentContext(browser.profile, {
      executablePath: chromiumPath(),
      headless: true,
      chromiumSandbox: false,
      ignoreDefaultArgs: ['--disable-extensions'],
      args: [...FLAGS, `--disable-extensions-except=${extension}`, `--load-extension=${extension}`],
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

  async popup() {
    const popup = await this.context.newPage();
    await popup.setViewportSize({ width: 340, height: 620 });
    await popup.goto(`chrome-extension://${this.id}/popup.html`);
    await popup.waitForFunction(() => document.body.dataset.state);
    return popup;
  }

  /** Sets the node up through the popup, as its owner would, and switches it on. */
  async switchOn(relay, { share = 100, idleOnly = false, onBattery = false } = {}) {
    const popup = this.page ?? (this.page = await this.popup());
    await popup.locator('#relay').fill(relay);
    await popup.locator('#relay').blur();
    await popup.locator('#share').fill(String(share));
    await popup.locator('#idle_only').setChecked(idleOnly);
    await popup.locator('#on_battery').setChecked(onBattery);
    await until('the settings are taken', async () => {
      const { settings } = await this.view();
      return settings.relay === relay && settings.share === share && settings.idle_only === idleOnly;
    });
    await popup.locator('#switch').click();
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

  /** What the popup is shown. */
  async view() {
    const popup = this.page ?? (this.page = await this.popup());
    return popup.evaluate(() => chrome.runtime.sendMessage({ kind: 'status' }));
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
