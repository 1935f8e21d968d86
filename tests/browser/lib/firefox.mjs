// Headless Firefox with the unpacked extension, driven through its popup.
import puppeteer from 'puppeteer-core';
import { firefoxPath, PREFERENCES } from '../../engines/lib/firefox.mjs';
import { until } from './wait.mjs';

const UUID = 'b7c1f6a8-3d52-4e0b-9a51-6c2d8e4f7a10';

export class Firefox {
  static async start(extension) {
    const browser = new Firefox();
    browser.browser = await puppeteer.launch({
      browser: 'firefox',
      executablePath: firefoxPath(),
      headless: true,
      args: ['--remote-allow-system-access'],
      extraPrefsFirefox: {
        ...PREFERENCES,
        'extensions.webextensions.uuids': JSON.stringify({ 'grid@example': UUID }),
      },
    });
    await browser.browser.installExtension(extension);
    return browser;
  }

  /** The popup's page, once it shows the node's state. */
  async popup() {
    const page = await this.browser.newPage();
    // The promise of an extension's page never resolves.
    page.goto(`moz-extension://${UUID}/popup.html`).catch(() => {});
    await until('the popup shows a state', () => page.evaluate(() => document.body?.dataset.state));
    return page;
  }

  async tell(message) {
    this.page ??= await this.popup();
    return this.page.evaluate(message => chrome.runtime.sendMessage(message), message);
  }

  view() {
    return this.tell({ kind: 'status' });
  }

  async change(part) {
    const { settings } = await this.view();
    return this.tell({ kind: 'settings', settings: { ...settings, ...part } });
  }

  /** Sets the node up and switches it on. */
  async switchOn(relay, { share = 100, idleOnly = false, onBattery = false } = {}) {
    await this.change({ relay, share, idle_only: idleOnly, on_battery: onBattery });
    // A popup that hasn't seen the change yet would take it back.
    await until('the popup knows', () => this.page.evaluate(
      (relay, idle) => document.querySelector('#relay').value === relay
        && document.querySelector('#idle_only').checked === idle, relay, idleOnly));
    await this.page.click('#switch');
    await until('the node is on', async () => (await this.view()).settings.on);
  }

  click(selector) {
    return this.page.click(selector);
  }

  async stop() {
    await this.browser.close();
  }
}
