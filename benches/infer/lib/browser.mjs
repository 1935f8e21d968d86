// Headless Chromium with a profile of its own.
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-dev-shm-usage', '--enable-unsafe-webgpu',
];

const path = () => process.env.CHROMIUM ?? execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim();

export class Browser {
  static async start(origin) {
    const browser = new Browser();
    browser.origin = origin;
    browser.chromium = await chromium.launch({
      executablePath: path(), headless: true, chromiumSandbox: false, args: FLAGS,
    });
    browser.version = `Chromium ${browser.chromium.version()}`;
    return browser;
  }

  /** A fresh page, in a process of its own, that has said nothing wrong so far. */
  async page() {
    const page = await this.chromium.newPage();
    page.setDefaultTimeout(0);
    page.on('pageerror', error => console.log(`in the page: ${error.message}`));
    page.on('console', message => {
      if (message.type() === 'error') {
        console.log(`in the page: ${message.text()}`);
      }
    });
    await page.goto(`${this.origin}/page.html`);
    await page.waitForFunction(() => globalThis.bench);
    if (!await page.evaluate(() => crossOriginIsolated)) {
      throw new Error('the page is not isolated: no threads');
    }
    return page;
  }

  stop() {
    return this.chromium.close();
  }
}
