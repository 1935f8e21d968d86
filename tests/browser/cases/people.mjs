// Pages of accounts, teams, campaigns and invitations, on answers as the relay gives them.
import assert from 'node:assert/strict';
import { goto, inBetween, pageIn, says, text } from '../lib/pages.mjs';

const KEY = 'ab'.repeat(32);
const NODE = 'cd'.repeat(32);
const CODE = '0123456789ab';
const POINTS = { work: 5e9, site: 0, invited: 1e9, campaign: 0, availability: 2e8, reliability: 0 };
/** What a hostile person would call themselves, and what is to be seen of it. */
const NAME = '<img src=x onerror=alert(1)>';

export const ANSWERS = {
  [`/v1/accounts/${KEY}`]: {
    key: KEY, name: NAME, nodes: [NODE], nodes_count: 1, points: POINTS, total: 62e8, held: 3e8, today: 1e9, week: 4e9,
    team: { id: '12'.repeat(16), name: 'Tea drinkers' }, invited: 2, closed: false, seq: 40, complete: true,
  },
  [`/v1/ledger/${KEY}`]: {
    key: KEY, seq: 40, complete: true,
    postings: [{ seq: 7, time_ms: 1795400000000, from: `job:${'34'.repeat(16)}`, to: `person:${KEY}`, amount: 5e9, reason: 'work' }],
  },
  [`/v1/teams/${'12'.repeat(16)}`]: {
    id: '12'.repeat(16), name: 'Tea drinkers', members: 3, total: 9e9, week: 2e9,
    leaders: [{ key: KEY, name: 'ada', earned: 5e9 }],
  },
  '/v1/campaigns': [{
    id: '56'.repeat(16), name: 'Autumn', start_ms: 1795300000000, end_ms: 1795900000000, closed_ms: null,
    goal: 1e12, work: 4e11, bonus_ppm: 250000, runtime: null, count: 12,
  }],
  [`/v1/campaigns/${'56'.repeat(16)}`]: {
    id: '56'.repeat(16), name: 'Autumn', start_ms: 1795300000000, end_ms: 1795900000000, closed_ms: null,
    goal: 1e12, work: 4e11, bonus_ppm: 250000, runtime: null, count: 12,
    leaders: [{ key: KEY, name: null, earned: 3e11 }],
  },
  [`/v1/invitations/${CODE}`]: {
    code: CODE, kind: 'friend', account: KEY, name: 'ada', origins: [], open: true, share_ppm: 100000,
  },
  '/v1/leaders?span=all&of=people': {
    from_ms: 0, complete: true, count: 2, people: [{ key: KEY, name: NAME, earned: 5e9 }, { key: NODE, name: null, earned: 1e9 }],
  },
  '/v1/leaders?span=all&of=teams': {
    from_ms: 0, complete: true, count: 1, teams: [{ id: '12'.repeat(16), name: 'Tea drinkers', members: 3, earned: 9e9 }],
  },
};

export const PLACES = {
  account: [`#/account/${KEY}`, page => page.waitForSelector('.figures')],
  team: [`#/team/${'12'.repeat(16)}`, page => page.waitForSelector('.figures')],
  campaigns: ['#/campaigns', page => page.waitForSelector('tbody tr')],
  campaign: [`#/campaign/${'56'.repeat(16)}`, page => page.waitForSelector('progress')],
  invitation: [`#/invite/${CODE}`, page => page.waitForSelector('a.button')],
};

export default {
  async 'people are shown, whatever they call themselves'(t) {
    const relay = await inBetween(t, await t.relay(), ANSWERS);
    const page = await pageIn(t, 'chromium');
    await goto(page, relay, PLACES.account[0]);
    await says(page, 'main', NAME, 30_000);
    await says(page, '.facts', 'Invitations', 30_000);
    assert.match(await text(page, '.figures'), /Points6\.2/);
    await says(page, '[aria-label=Postings]', 'work', 30_000);
    assert.equal(await page.$('main img'), null);
    await page.click('a[href^="#/team/"]');
    await says(page, 'main', 'Tea drinkers', 30_000);
    await goto(page, relay, '#/leaders');
    await page.waitForSelector('input[value=people] + span');
    await page.click('input[value=people] + span');
    await says(page, '[aria-label="People by points"]', NAME, 30_000);
    assert.match(await text(page, '.empty'), /2 people earned/);
    await page.click('input[value=teams] + span');
    await says(page, '[aria-label="Teams by points"]', 'Tea drinkers', 30_000);
    await goto(page, relay, '#/campaigns');
    await page.waitForSelector('a[href^="#/campaign/"]');
    await page.click('a[href^="#/campaign/"]');
    await says(page, 'main', '400 of 1,000 points', 30_000);
    await says(page, 'main', '25% on top', 30_000);
    assert.deepEqual(page.complaints, []);
  },

  async 'an invitation says who invites and how to join'(t) {
    const answers = structuredClone(ANSWERS);
    const relay = await inBetween(t, await t.relay(), answers);
    const page = await pageIn(t, 'chromium');
    await goto(page, relay, '#/invite/0123-4567-89AB');
    await says(page, 'main', 'ada invites you', 30_000);
    assert.match(await text(page, 'main'), /gets 10% of them on top/);
    assert.equal(await page.$eval('a.button', link => link.getAttribute('href')), `node/#invite=${CODE}`);
    answers[`/v1/invitations/${CODE}`].open = false;
    await goto(page, relay, '#/');
    await goto(page, relay, `#/invite/${CODE}`);
    await says(page, 'main', 'has ended', 30_000);
    assert.equal(await page.$eval('a.button', link => link.closest('.row').hidden), true);
    await goto(page, relay, '#/invite/zzzzzzzzzzzz');
    await says(page, '.notice', 'no such thing', 30_000);
    await goto(page, relay, '#/invite/x');
    await says(page, 'h1', 'no such page', 30_000);
  },
};
