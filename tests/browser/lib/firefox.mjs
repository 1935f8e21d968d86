// Headless Firefox with the unpacked extension, driven through its popup.
import puppeteer from 'puppeteer-core';
import { firefoxPath, PREFERENCES } from '../../engines/lib/firefox.mjs';
import { settingsOf } from './browser.mjs';
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
        'extensions.webextensions.uuids': JSON.stringify({ 'grid@example': UUID, 'grid-full@example': UUID }),
      },
    });
    await browser.browser.installExtension(extension);
    return browser;
  }

  /** A page of the extension, once it has what `selector` names. */
  async open(file, selector) {
    const page = await this.browser.newPage();
    // The promise of an extension's page never resolves.
    page.goto(`moz-extension://${UUID}/${file}`).catch(() => {});
    await until(`${file} is there`, () => page.evaluate(
      selector => document.querySelector(selector) !== null, selector), 30_000);
    return page;
  }

  popup() {
    return this.open('popup.html', '[data-state]');
  }

  options() {
    return this.open('options.html', '[data-ready]');
  }

  async ask(message) {
    this.page ??= await this.popup();
    return this.page.evaluate(message => chrome.runtime.sendMessage(message), message);
  }

  view() {
    return this.ask({ kind: 'status' });
  }

  async change(settings) {
    await this.ask({ kind: 'settings', settings });
  }

  /** Sets the node up and switches it on. */
  async switchOn(relay, how) {
    await this.change(settingsOf(relay, how));
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
