// The account: made here, entered elsewhere.
import assert from 'node:assert/strict';
import { accessible } from '../lib/accessible.mjs';
import { until } from '../lib/wait.mjs';

const WAIT = 30_000;
const PHRASE = 'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about';
/** Its key at m/44'/501'/0'/0', which Solana's wallets show as
 * HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk. */
const KEY = 'f036276246a75b9de3349ed42b15e232f6518fc20f5fcd4f1d64e81f9bd258f7';

const stored = browser => browser.worker.evaluate(async () => (await chrome.storage.local.get('account')).account);

export default {
  async 'it is made, shown again, and its words are forgotten when they are written down'(t) {
    const { relay, browser } = await t.network({ counted: true });
    await browser.joined();
    assert.equal(relay.sockets, 1);
    const page = await browser.options();
    page.on('dialog', dialog => dialog.accept());
    await page.locator('#account_new').click();
    await until('twelve words are shown', async () => await page.locator('#phrase li').count() === 12, WAIT);
    await accessible(page, 'extension-account');
    const words = (await page.locator('#phrase li').allTextContents()).join(' ');
    const { account } = await browser.view();
    assert.match(account.key, /^[0-9a-f]{64}$/);
    await until('the node joins anew, as its own', () => relay.sockets === 2, WAIT);
    await browser.joined();

    await page.locator('#phrase_show').click();
    await until('they are hidden', async () => await page.locator('#phrase li').count() === 0, WAIT);
    await browser.stopWorker();
    await page.locator('#phrase_show').click();
    await until('they can be shown again', async () =>
      (await page.locator('#phrase li').allTextContents()).join(' ') === words, WAIT);
    await page.locator('#account_written').click();
    await until('they are forgotten', async () => !(await browser.view()).account.phrase, WAIT);
    assert.ok(!JSON.stringify(await stored(browser)).includes(words.split(' ')[0]));
    assert.equal((await browser.view()).account.key, account.key, 'the account stays');

    // In another browser the same words are the same account.
    const other = await t.browser();
    const options = await other.options();
    await options.locator('#words').fill(` ${words.toUpperCase().replaceAll(' ', '  ')}\n`);
    await options.locator('#account_enter').click();
    await until('it is the same', async () => (await other.view()).account.key === account.key, WAIT);
    assert.equal((await stored(other)).phrase, null, 'entered words are not kept');
    assert.equal(await options.locator('#words').inputValue(), '');
    await other.switchOn(relay.url);
    await other.joined();
    assert.equal((await relay.network()).nodes_online, 2);
  },

  async 'wrong words are named, and a left account is gone'(t) {
    const browser = await t.browser();
    const page = await browser.options();
    page.on('dialog', dialog => dialog.accept());
    const says = async (words, part) => {
      await page.locator('#words').fill(words);
      await page.locator('#account_enter').click();
      await until(`it says ${part}`, async () => (await page.locator('#account_error').textContent()).includes(part), WAIT);
      assert.equal((await browser.view()).account.key, null);
    };
    await says('abandon', '12 or 24');
    await says(PHRASE.replace('about', 'abaut'), 'word 12');
    await says(PHRASE.replace('about', 'abandon'), 'belong together');
    await accessible(page, 'extension-account-wrong');
    await page.locator('#words').fill(PHRASE);
    await page.locator('#account_enter').click();
    await until('it belongs to it', async () => (await browser.view()).account.key === KEY, WAIT);
    assert.equal(await page.locator('#account_error').isVisible(), false);
    await page.locator('#account_leave').click();
    await until('it is left', async () => (await browser.view()).account.key === null, WAIT);
    const { key, signature, phrase } = await stored(browser);
    assert.deepEqual([key, signature, phrase], [null, null, null]);
  },

  async 'an invitation is a code, or a link that ends with one'(t) {
    const { relay, browser } = await t.network({ counted: true });
    await browser.joined();
    const page = await browser.options();
    await page.locator('#invited').fill('https://relay.example/#/invite/AB12-cdef-gh34');
    await page.keyboard.press('Tab');
    await until('the code is taken', async () => (await browser.view()).account.invitation === 'ab12cdefgh34', WAIT);
    await until('the relay is told', () => relay.sockets >= 2, WAIT);
    await page.locator('#invited').fill('no code!');
    await page.keyboard.press('Tab');
    await until('it is none', async () => (await page.locator('#account_error').textContent()).includes('no invitation'), WAIT);
    assert.equal((await browser.view()).account.invitation, 'ab12cdefgh34');
  },

  async 'it invites: the relay makes a code for whoever has the words'(t) {
    const { relay, browser } = await t.network();
    await browser.joined();
    const page = await browser.options();
    page.on('dialog', dialog => dialog.accept());
    await page.locator('#account_new').click();
    await until('twelve words are shown', async () => await page.locator('#phrase li').count() === 12, WAIT);
    const words = (await page.locator('#phrase li').allTextContents()).join(' ');
    await browser.joined();
    await page.locator('#invite').click();
    await until('there is a link', async () => Boolean((await browser.view()).account.link), WAIT);
    const { account } = await browser.view();
    const [, code] = /\/#\/invite\/([0-9a-z]{12})$/.exec(account.link);
    const of = await (await fetch(`${relay.url}/v1/invitations/${code}`)).json();
    assert.deepEqual([of.account, of.kind, of.open], [account.key, 'friend', true]);
    await page.locator('#copy').click();
    await until('it is copied', async () => await page.locator('#copied').textContent() !== '', WAIT);
    await until('the popup gives it, too', () => browser.page.locator('#give').isVisible(), WAIT);
    await accessible(page, 'extension-account-invites');

    // Without the words it asks for them, and takes no others.
    await page.locator('#account_written').click();
    await until('they are forgotten', async () => !(await browser.view()).account.phrase, WAIT);
    const ask = async phrase => (await browser.ask({ kind: 'invite', phrase })).failed;
    assert.match(await ask(undefined), /no_phrase/);
    assert.match(await ask(PHRASE), /other_account/);
    await browser.ask({ kind: 'account_leave' });
    await browser.ask({ kind: 'account_enter', phrase: words });
    await until('the link is gone with the account', async () => (await browser.view()).account.link === null, WAIT);
    await browser.joined();
    await page.locator('#invite').click();
    await page.locator('#sign_words').fill(words);
    await page.locator('#sign').click();
    await until('there is another', async () => Boolean((await browser.view()).account.link), WAIT);
  },

  async 'in Firefox, too'(t) {
    const browser = await t.firefox();
    const page = await browser.options();
    await page.type('#words', PHRASE);
    await page.click('#account_enter');
    await until('it belongs to it', async () => (await browser.view()).account.key === KEY, WAIT);
    await accessible(page, 'extension-account-firefox');
  },
};
