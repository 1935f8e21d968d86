// Headless Chromium with the unpacked extension, driven through its popup.
import { chromium } from 'playwright-core';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromiumPath } from './args.mjs';
import { until } from './wait.mjs';

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
    browser.context.on('serviceworker', worker => (browser.worker = worker));
    browser.worker = browser.context.serviceWorkers()[0]
      ?? await browser.context.waitForEvent('serviceworker');
    browser.id = new URL(browser.worker.url()).host;
    return browser;
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

  /** What the popup is shown. */
  async view() {
    const popup = this.page ?? (this.page = await this.popup());
    return popup.evaluate(() => chrome.runtime.sendMessage({ kind: 'status' }));
  }

  /** Stops the service worker as Chromium does. */
  async stopWorker() {
    const session = await this.context.browser().newBrowserCDPSession();
    const { targetInfos } = await session.send('Target.getTargets');
    const target = targetInfos.find(info => info.type === 'service_worker');
    await session.send('Target.closeTarget', { targetId: target.targetId });
    await session.detach();
  }

  async stop() {
    await this.context.close();
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
