// The operator's page.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessible } from '../lib/accessible.mjs';
import { goto, held, inBetween, pageIn, says, text, timed, worked } from '../lib/pages.mjs';
import { until } from '../lib/wait.mjs';

/** A key of an operator of this relay. */
export const operatorKey = relay => execFileSync(
  relay.binary, ['operator', 'key', 'new', 'root', '--data-dir', relay.data],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
).trim();

const CAMPAIGN = `name = "Advent"
start = 2020-12-01T00:00:00Z
end = 2199-12-24T00:00:00Z
goal = 1_000_000_000_000
bonus_ppm = 250_000
runtime = "infer"
`;

/** Lets an operator in. */
export async function enter(page, relay, key) {
  await goto(page, relay, '#/operate');
  await page.waitForSelector('#operator');
  await page.type('#operator', key);
  await page.click('main form button[type=submit]');
  await page.waitForSelector('.figures', { timeout: 30_000 });
}

export default {
  async 'a campaign is checked, opened and ended from the page'(t) {
    const relay = await t.relay();
    const page = await pageIn(t, 'chromium');
    await enter(page, relay, operatorKey(relay));
    const folder = t.folder(mkdtempSync(join(tmpdir(), 'grid-campaign-')));
    const choose = async content => {
      writeFileSync(join(folder, 'advent.toml'), content);
      await (await page.$('#campaign')).uploadFile(join(folder, 'advent.toml'));
    };
    const press = async words => {
      const buttons = await page.$$('.verdict button');
      for (const button of buttons) {
        if (await button.evaluate(element => element.textContent) === words) return button.click();
      }
      throw new Error(`there is no button ${words}`);
    };
    const gone = () => until('nothing waits', async () => !await page.$('.verdict'), 30_000);
    const campaigns = async () => (await fetch(`${relay.url}/v1/campaigns`)).json();
    const wrong = part => until(`it says ${part}`, () => page.$$eval('.notice', (all, part) => (
      all.some(notice => notice.textContent.startsWith(part))), part), 30_000);
    await choose(CAMPAIGN.replace('goal', 'gaol'));
    await wrong('line 4: unknown field `gaol`');
    await choose(CAMPAIGN.replace('2199', '2019'));
    await wrong('line 3: end is before start');
    assert.equal(await page.$('.verdict'), null);

    // Summed up first; nothing is opened before the second click.
    await choose(CAMPAIGN);
    await page.waitForSelector('.verdict', { timeout: 30_000 });
    const told = await text(page, '.verdict');
    for (const part of ['Advent', '1,000 points', '25% on top', 'inference only', '24/12/2199']) {
      assert.ok(told.includes(part), `${part} in ${told}`);
    }
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Open this campaign?');
    await accessible(page, 'operate-campaign');
    await press('Cancel');
    await gone();
    assert.deepEqual(await campaigns(), []);
    await choose(CAMPAIGN);
    await page.waitForSelector('.verdict', { timeout: 30_000 });
    await press('Open it');
    await gone();
    await says(page, '[aria-label=Campaigns]', 'Advent', 30_000);
    const [{ name, closed_ms, runtime }] = await campaigns();
    assert.deepEqual([name, closed_ms, runtime], ['Advent', null, 'infer']);

    const end = async () => {
      await page.waitForSelector('[aria-label="End Advent"]', { timeout: 30_000 });
      await page.click('[aria-label="End Advent"]');
      await says(page, '.verdict h2', 'End it now?', 30_000);
    };
    await end();
    await press('Cancel');
    await gone();
    assert.equal((await campaigns())[0].closed_ms, null);
    await end();
    await press('End it');
    await says(page, '[aria-label=Campaigns]', 'over', 30_000);
    assert.ok((await campaigns())[0].closed_ms > 0);
    assert.deepEqual(page.complaints.filter(line => !/400/.test(line)), []);
  },

  async 'refusals are counted back from now, those before the relay\'s start too'(t) {
    const relay = await t.relay();
    const hour = 3_600_000;
    const at = hours => Math.floor(Date.now() / hour - hours) * hour;
    const refusals = {
      since_start: [{ reason: 'bad_signature', count: 4 }],
      hours: [
        { from_ms: at(72), reasons: { unknown_lease: 5, bad_signature: 1 } },
        { from_ms: at(30), reasons: { bad_signature: 2 } },
        { from_ms: at(2), reasons: { bad_signature: 4 } },
      ],
      latest: [], complete: true,
    };
    const slow = held('application/json');
    const answers = { '/v1/operator/refusals': refusals };
    const page = await pageIn(t, 'chromium');
    const pass = await timed(page);
    await enter(page, await inBetween(t, relay, answers), operatorKey(relay));
    const table = () => page.$$eval('[aria-label="Refused receipts by reason"] tbody tr', rows => (
      rows.map(row => [...row.cells].map(cell => cell.textContent))));
    assert.deepEqual(await table(), [['bad signature', '4', '7', '4'], ['unknown lease', '0', '5', '0']]);
    // An hour in which nothing was refused moves on what is the last day.
    refusals.hours.pop();
    await until('it is so', async () => { await pass(); return (await table())[0].join() === 'bad signature,0,3,4'; }, 30_000);
    // While something is on its way, nothing else is asked for.
    answers['/v1/operator/refusals'] = slow.hold;
    await until('it is asked', async () => { await pass(); return slow.asked === 1; }, 30_000);
    let asked = 0;
    page.on('request', () => { asked += 1; });
    for (let at = 0; at < 3; at += 1) await pass();
    slow.last.end(JSON.stringify({ since_start: [], hours: [], latest: [], complete: true }));
    await until('it is shown', async () => (await text(page, 'main')).includes('None in the last 7 days.'), 30_000);
    // Those after it: who was caught, who is suspected, campaigns.
    assert.ok(asked <= 3, `${asked} requests`);
    assert.deepEqual(page.complaints, []);
  },

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
