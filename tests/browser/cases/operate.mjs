// The operator's page.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { goto, pageIn, says, text, worked } from '../lib/pages.mjs';

/** A key of an operator of this relay. */
export const operatorKey = relay => execFileSync(
  relay.binary, ['operator', 'key', 'new', 'root', '--data-dir', relay.data],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
).trim();

export default {
  async 'an operator logs in, looks, and logs out'(t) {
    const { relay } = await worked(t);
    const key = operatorKey(relay);
    const page = await pageIn(t, 'chromium');
    const addresses = [];
    page.on('request', request => addresses.push(request.url()));
    await goto(page, relay, '#/operate');
    await page.waitForSelector('#operator');
    const enter = async with_ => {
      await page.$eval('#operator', input => { input.value = ''; });
      await page.type('#operator', with_);
      await page.click('main button[type=submit]');
    };
    await enter('gridop_nobody');
    await says(page, '.notice', 'no operator', 30_000);
    assert.equal(await page.$('.figures'), null);
    await enter(key);
    await page.waitForSelector('.figures', { timeout: 30_000 });
    assert.match(await text(page, '.figures'), /Storeworks/);
    await says(page, '[aria-label="How long nodes take"]', 'usual', 30_000);
    assert.match(await text(page, '[aria-label="Queues by runtime"]'), /wasm/);
    const leave = await page.$('.row > button');
    await leave.click();
    await page.waitForSelector('#operator');
    assert.equal(await page.$eval('#operator', input => input.value), '');
    assert.deepEqual(addresses.filter(address => address.includes('gridop_')), []);
    assert.deepEqual(page.complaints.filter(line => !/401/.test(line)), []);
  },
};
