// The page of the first run.
import assert from 'node:assert/strict';
import { accessible } from '../lib/accessible.mjs';
import { until } from '../lib/wait.mjs';

const WAIT = 30_000;

export default {
  async 'it opens once, says four sentences, and starts nothing'(t) {
    const browser = await t.browser();
    const pages = () => browser.context.pages().filter(page => page.url().endsWith('/welcome.html'));
    await until('it opens', () => pages().length === 1, WAIT);
    const [page] = pages();
    await until('it has words', async () => (await page.locator('li').allTextContents()).every(Boolean), WAIT);
    const sentences = await page.locator('li').allTextContents();
    assert.equal(sentences.length, 4);
    assert.ok(sentences.every(text => text.split(/[.!?](?:\s|$)/).filter(Boolean).length === 1), sentences.join(' | '));
    await accessible(page, 'extension-welcome');
    assert.equal((await browser.view()).state, 'off');
    assert.equal(await browser.worker.evaluate(() => chrome.offscreen.hasDocument()), false);
    assert.equal(await page.locator('a, button').count(), 1);
    await page.locator('#open').focus();
    await page.keyboard.press('Enter');
    await page.waitForSelector('#switch');
    assert.equal(await page.locator('#switch').getAttribute('aria-checked'), 'false');
    await browser.stopWorker();
    await browser.view();
    assert.equal(pages().length, 0, 'it does not come back');
  },

  async 'in Firefox, too'(t) {
    const browser = await t.firefox();
    const page = await browser.open('welcome.html', 'li:last-child');
    await until('it has words', () => page.evaluate(() => document.querySelector('li').textContent), WAIT);
    await accessible(page, 'extension-welcome-firefox');
    assert.equal((await browser.view()).state, 'off');
  },
};
