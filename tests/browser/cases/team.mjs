// What an account asks of its relay: its team, everything that is held of it, its end.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { accessible } from '../lib/accessible.mjs';
import { fresh, ready, tab, view } from '../lib/lend.mjs';
import { fnv } from '../lib/modules.mjs';
import { until } from '../lib/wait.mjs';

const WAIT = 30_000;
const PHRASE = 'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about';

const json = async (relay, path) => (await fetch(relay.url + path)).json();
const account = async (relay, browser) => json(relay, `/v1/accounts/${(await browser.view()).account.key}`);
const stored = browser => browser.worker.evaluate(async () => (await chrome.storage.local.get('account')).account);
const says = (page, selector, part) => until(`${selector} says ${part}`, async () =>
  (await page.locator(selector).textContent()).includes(part), WAIT);

/** A new account, and the part of its settings that is about the relay. Its words. */
async function make(page) {
  await page.locator('#account_new').click();
  await until('twelve words are shown', async () => await page.locator('#phrase li').count() === 12, WAIT);
  const words = (await page.locator('#phrase li').allTextContents()).join(' ');
  await page.locator('#at_relay summary').click();
  await says(page, '#team', 'in no team');
  return words;
}

async function saved(t, page) {
  const file = join(t.folder(mkdtempSync(join(tmpdir(), 'grid-export-'))), 'export.json');
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#export').click()]);
  assert.equal(download.suggestedFilename(), 'grid-account.json');
  await download.saveAs(file);
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** `grid account export` of the account with these words. */
function exported(t, relay, words) {
  const home = t.folder(mkdtempSync(join(tmpdir(), 'grid-home-')));
  const env = { ...process.env, XDG_CONFIG_HOME: home, HOME: home };
  const grid = (args, input) => execFileSync(t.options.gridBin, ['--relay', relay.url, 'account', ...args], { env, input, encoding: 'utf8' });
  grid(['restore'], words);
  return JSON.parse(grid(['export']));
}

export default {
  async 'a team is made, joined and left'(t) {
    const { relay, browser } = await t.network();
    await browser.joined();
    const page = await browser.options();
    page.on('dialog', dialog => dialog.accept());
    await make(page);
    await page.locator('#team_name').fill(' Red Pandas ');
    await page.locator('#team_make').click();
    await says(page, '#team', 'in the team Red Pandas');
    assert.equal((await account(relay, browser)).team.name, 'Red Pandas');
    await accessible(page, 'extension-team');

    // With the keyboard alone, in a browser whose node is off.
    const other = await t.browser();
    await other.change({ relay: relay.url });
    const options = await other.options();
    options.on('dialog', dialog => dialog.accept());
    await make(options);
    const enter = async name => {
      await options.locator('#team_name').fill('');
      await options.keyboard.type(name);
      await options.keyboard.press('Enter');
    };
    await enter('x');
    await says(options, '#account_error', '3 to 32');
    await enter('Blue Pandas');
    await says(options, '#account_error', 'doesn\'t know this team');
    await options.locator('#team_name').fill('RED PANDAS');
    await options.locator('#team_make').press('Space');
    await says(options, '#account_error', 'was made before');
    await accessible(options, 'extension-team-refused');
    await enter('red pandas');
    await says(options, '#team', 'in the team Red Pandas');
    // What had the focus is gone.
    assert.equal(await options.evaluate(() => document.activeElement.parentElement.id), 'at_relay');
    assert.equal(await options.locator('#account_error').isVisible(), false);
    assert.equal((await json(relay, '/v1/teams/Red%20Pandas')).members, 2);
    assert.equal((await other.view()).state, 'off');

    await page.locator('#team_leave').click();
    await says(page, '#team', 'in no team');
    assert.equal((await account(relay, browser)).team, null);
    assert.equal((await json(relay, '/v1/teams/Red%20Pandas')).members, 1);
    // What is shown is what the relay says when it is opened again.
    await options.locator('#at_relay summary').click();
    await options.locator('#at_relay summary').click();
    await says(options, '#team', 'in the team Red Pandas');
  },

  async 'a site gets a key of its own, and a page that says what to paste'(t) {
    const { relay, browser } = await t.network();
    await browser.joined();
    const page = await browser.options();
    await make(page);
    await page.locator('#site_name').fill('Harbour weather');
    await page.locator('#site_origin').fill('harbour');
    await page.locator('#site_make').click();
    await says(page, '#account_error', 'is not an origin');
    assert.equal(await page.locator('#site_made').isVisible(), false);
    await page.locator('#site_origin').fill('https://harbour.example/tides?at=now');
    await page.locator('#site_make').click();
    await page.locator('#site_made a').waitFor();
    await accessible(page, 'extension-site');
    const { account: { key } } = await browser.view();
    const address = await page.locator('#site_made a').getAttribute('href');
    assert.ok(address.startsWith(`${relay.url}/embed/#`), address);
    const [, code] = address.split('#');
    const made = await json(relay, `/v1/invitations/${code}`);
    assert.deepEqual([made.kind, made.name, made.account, made.origins],
      ['site', 'Harbour weather', key, ['https://harbour.example']]);
    const site = await browser.context.newPage();
    await site.goto(address);
    await says(site, '#snippet', `data-site="${code}"`);
    await says(site, '#origins', 'https://harbour.example');
  },

  async 'nothing is asked before a click, and what cannot be asked is said'(t) {
    const { relay, browser } = await t.network();
    await browser.joined();
    const page = await browser.options();
    await browser.ask({ kind: 'account_new' });
    await until('it belongs to it', () => page.locator('#has_account').isVisible(), WAIT);
    assert.equal(await page.locator('#team').textContent(), '');
    await browser.change({ on: false, relay: 'http://127.0.0.1:9' });
    await page.locator('#at_relay summary').click();
    await says(page, '#account_error', 'can\'t be reached');
    assert.equal(await page.locator('#team').textContent(), '');
    await page.locator('#export').click();
    await says(page, '#account_error', 'Check the connection');
    // Not a relay: its pages.
    await browser.change({ relay: `${relay.url}` });
    await page.locator('#at_relay summary').click();
    await page.locator('#at_relay summary').click();
    await says(page, '#team', 'in no team');
    assert.equal(await page.locator('#account_error').isVisible(), false);
  },

  async 'everything that the relay holds is saved, as the command line gets it'(t) {
    const { relay, owner, browser } = await t.network();
    await browser.joined();
    const page = await browser.options();
    page.on('dialog', dialog => dialog.accept());
    const words = await make(page);
    await browser.joined();
    await owner.run(fnv(), { stdin: 'one' });
    await page.locator('#invite').click();
    await until('there is a link', async () => Boolean((await browser.view()).account.link), WAIT);
    // A settlement may come between the two.
    const mine = await until('both are the same', async () => {
      const [ours, theirs] = [await saved(t, page), exported(t, relay, words)];
      return isDeepStrictEqual(ours, theirs) && ours;
    }, 60_000);
    await says(page, '#account_said', 'saved');
    assert.equal(mine.person.key, (await browser.view()).account.key);
    assert.deepEqual(mine.person.nodes, [(await browser.view()).node]);
    assert.equal(mine.invitations.length, 1);

    // Without the words here they are asked for, used once, and not kept.
    await page.locator('#account_written').click();
    await until('they are forgotten', async () => !(await browser.view()).account.phrase, WAIT);
    await page.locator('#export').click();
    await until('it asks', () => page.locator('#sign_words').evaluate(field => field === document.activeElement), WAIT);
    await accessible(page, 'extension-sign');
    await page.locator('#sign_words').fill(PHRASE);
    await page.locator('#sign').click();
    await says(page, '#account_error', 'another account');
    await page.locator('#sign_words').fill(words);
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#sign').click()]);
    assert.equal(download.suggestedFilename(), 'grid-account.json');
    await until('the field is gone', () => page.locator('#signing').isHidden(), WAIT);
    assert.equal(await page.locator('#sign_words').inputValue(), '');
    assert.ok(!JSON.stringify(await stored(browser)).includes(words.split(' ')[0]));
  },

  async 'it is deleted once the relay has agreed, and the node works for itself'(t) {
    const { relay, owner, browser } = await t.network();
    await browser.joined();
    const page = await browser.options();
    let sure = false;
    const asked = [];
    page.on('dialog', dialog => {
      asked.push(dialog.message());
      return sure ? dialog.accept() : dialog.dismiss();
    });
    const words = await make(page);
    const { account: { key }, node } = await browser.view();
    await until('it joined as its own', async () =>
      (await json(relay, `/v1/accounts/${key}`)).nodes_count === 1, WAIT);
    await browser.joined();
    await owner.run(fnv(), { stdin: 'one' });
    const { total, held } = await json(relay, `/v1/accounts/${key}`);
    assert.ok(total + held > 0);

    await page.locator('#account_delete').click();
    await until('it asks whether that is meant', () => asked.length === 1, WAIT);
    assert.match(asked[0], /for ever.*Receipts/s);
    assert.equal((await json(relay, `/v1/accounts/${key}`)).closed, false);
    // The relay doesn't answer: all is as before.
    sure = true;
    const { address } = relay;
    relay.process.kill('SIGKILL');
    await relay.ended;
    await page.locator('#account_delete').click();
    await says(page, '#account_error', 'can\'t be reached');
    assert.equal((await browser.view()).account.key, key);
    assert.equal((await browser.ask({ kind: 'account_phrase' })), words);
    await relay.serve(address);

    await page.locator('#account_delete').click();
    await says(page, '#account_said', 'is deleted');
    assert.equal((await json(relay, `/v1/accounts/${key}`)).closed, true);
    assert.equal((await browser.view()).account.key, null);
    const { key: kept, signature, phrase, link } = await stored(browser);
    assert.deepEqual([kept, signature, phrase, link], [null, null, null, null]);
    assert.equal(await page.locator('#no_account').isVisible(), true);
    assert.equal(await page.locator('#phrase li').count(), 0);
    await accessible(page, 'extension-deleted');

    await until('it works for itself', async () => {
      await owner.run(fnv(), { stdin: 'two' });
      const own = await json(relay, `/v1/accounts/${node}`);
      return own.total + own.held > 0 && own;
    }, 60_000);
    // Its owner comes back with the words: the relay has no such account any more.
    await page.locator('#words').fill(words);
    await page.locator('#account_enter').click();
    await until('it is here', async () => (await browser.view()).account.key === key, WAIT);
    await page.locator('#at_relay summary').click();
    await says(page, '#team', 'was deleted');
  },

  async 'in Firefox, too'(t) {
    const [relay, browser] = await Promise.all([t.relay(), t.firefox()]);
    await browser.change({ relay: relay.url });
    const page = await browser.options();
    page.on('dialog', dialog => dialog.accept());
    const says = (selector, part) => until(`${selector} says ${part}`, async () => {
      const text = await page.$eval('#account', element => element.innerText);
      return (await page.$eval(selector, element => element.textContent)).includes(part) || assert.fail(text);
    }, WAIT);
    await page.type('#words', PHRASE);
    await page.click('#account_enter');
    await until('it belongs to it', async () => Boolean((await browser.view()).account.key), WAIT);
    const { account: { key } } = await browser.view();
    await page.click('#at_relay summary');
    await says('#team', 'in no team');
    await page.type('#team_name', 'Red Pandas');
    await page.click('#team_make');
    await until('it asks for the words', () => page.$eval('#signing', element => !element.hidden), WAIT);
    await page.type('#sign_words', PHRASE);
    await page.click('#sign');
    await says('#team', 'in the team Red Pandas');
    assert.equal((await json(relay, `/v1/accounts/${key}`)).team.name, 'Red Pandas');
    await accessible(page, 'extension-team-firefox');
    await page.click('#account_delete');
    await until('it asks for the words again', () => page.$eval('#signing', element => !element.hidden), WAIT);
    await page.type('#sign_words', PHRASE);
    await page.click('#sign');
    await says('#account_said', 'is deleted');
    assert.equal((await json(relay, `/v1/accounts/${key}`)).closed, true);
    assert.equal((await browser.view()).account.key, null);
  },

  async 'in the relay\'s page, too'(t) {
    const relay = await t.relay({ believing: true });
    const browser = await fresh(t, 'chromium');
    const made = await tab(browser, relay);
    await ready(made);
    made.on('dialog', dialog => dialog.accept());
    const says = (selector, part) => until(`${selector} says ${part}`, async () =>
      (await made.$eval(selector, element => element.textContent)).includes(part), WAIT);
    await made.click('#account_new');
    await until('it has an account', async () => Boolean((await view(made)).account.key), WAIT);
    const { account: { key } } = await view(made);
    await made.click('#at_relay summary');
    await says('#team', 'in no team');
    await made.type('#team_name', 'Red Pandas');
    await made.click('#team_make');
    await says('#team', 'in the team Red Pandas');
    assert.equal((await json(relay, `/v1/accounts/${key}`)).team.name, 'Red Pandas');
    await made.click('#export');
    await says('#account_said', 'saved');
    await made.click('#account_delete');
    await says('#account_said', 'is deleted');
    assert.equal((await json(relay, `/v1/accounts/${key}`)).closed, true);
    assert.equal((await view(made)).account.key, null);
    assert.deepEqual(made.complaints, []);
  },
};
