// Pages of accounts, teams, campaigns and invitations: on the real relay, with people who work,
// and on answers of ours where the relay gives none like them (names that no relay takes).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { countdown } from '../lib/modules.mjs';
import { goto, inBetween, pageIn, says, text } from '../lib/pages.mjs';
import { Person } from '../lib/person.mjs';
import { until } from '../lib/wait.mjs';
import { enter, operatorKey } from './operate.mjs';

const KEY = 'ab'.repeat(32);
const NODE = 'cd'.repeat(32);
const CODE = '0123456789ab';
const POINTS = { work: 5e9, site: 0, invited: 1e9, campaign: 0, availability: 2e8, reliability: 0 };
/** What a hostile person would call themselves, and what is to be seen of it. */
const NAME = '<img src=x onerror=alert(1)>';

export const ANSWERS = {
  [`/v1/accounts/${KEY}`]: {
    key: KEY, name: 'ada', nodes: [NODE], nodes_count: 1, points: POINTS, total: 62e8, held: 3e8, today: 1e9, week: 4e9,
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
    code: CODE, kind: 'friend', account: KEY, name: 'ada', origins: [], open: true, share_ppm: 0, inviter_ppm: 50000,
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

const CAMPAIGN = `name = "Advent"
start = 2020-12-01T00:00:00Z
end = 2199-12-24T00:00:00Z
goal = 1_000_000_000
bonus_ppm = 250_000
`;

/** Points as the pages write them, where they are between a thousandth and ten. */
const points = fuel => String(Math.floor(fuel / 1e5) / 1e4 < 1 ? Math.floor(fuel / 1e5) / 1e4 : Math.floor(fuel / 1e7) / 100);

/** One task of a tenth of a point and more. */
const work = owner => owner.run(countdown(20));

/**
 * A relay where people work: Ada, who invited Bob, a team of both, a campaign; Cleo, who invited Dan
 * from her own network; Eve and Finn, who invited each other.
 */
async function society(t) {
  const relay = await t.relay({ believing: true, args: ['--diversity', 'true'] });
  const owner = relay.owner();
  const [ada, bob, cleo, dan, eve, finn] = [1, 2, 3, 4, 5, 6].map(seed => new Person(relay, seed));
  const file = join(relay.data, 'advent.toml');
  writeFileSync(file, CAMPAIGN);
  const campaign = execFileSync(relay.binary, ['campaign', 'open', file, '--data-dir', relay.data], { encoding: 'utf8' }).trim();
  await ada.ask('PUT', `/v1/accounts/${ada.key}`, { name: 'Ada L.' });
  await bob.ask('PUT', `/v1/accounts/${bob.key}`, { name: 'Bob' });
  const team = await ada.ask('POST', '/v1/teams', { name: 'Tea drinkers' });
  await bob.ask('POST', '/v1/teams/Tea%20drinkers/join');
  const code = await ada.invite();
  // Who is paid for others lends, too, from elsewhere.
  await (await ada.lend(t, { from: '127.0.1.1' }))();
  const end = await bob.lend(t, { code, from: '127.0.2.1' });
  await until('the campaign is under way', async () => {
    await work(owner);
    return (await bob.info()).points.campaign > 0;
  }, 60_000);
  await end();
  await cleo.lend(t);
  await dan.lend(t, { code: await cleo.invite() });
  await eve.lend(t, { code: await finn.invite() });
  await finn.lend(t, { code: await eve.invite() });
  await until('everyone has worked', async () => {
    await work(owner);
    return (await Promise.all([cleo, dan, eve, finn].map(person => person.info()))).every(({ points }) => points.work);
  }, 60_000);
  return { relay, owner, ada, bob, cleo, dan, eve, finn, team, campaign, code };
}

export default {
  async 'people who work are shown as the relay and its log have them'(t) {
    const { relay, ada, bob, cleo, dan, eve, finn, team, campaign, code } = await society(t);
    const page = await pageIn(t, 'chromium');
    const json = async path => (await fetch(relay.url + path)).json();
    const { points: earned, total } = await bob.info();
    const { points: { invited } } = await ada.info();
    assert.equal(invited, Math.floor(earned.work / 20), 'the invitation pays');

    // The leaderboard, over each time.
    const rows = label => page.$$eval(`[aria-label="${label}"] tbody tr`, rows => (
      rows.map(row => [...row.cells].map(cell => cell.textContent))));
    await goto(page, relay, '#/leaders');
    await page.waitForSelector('input[value=people] + span');
    for (const span of ['day', 'week', 'all']) {
      await page.click(`input[value=${span}] + span`);
      await page.click('input[value=people] + span');
      const { people, count } = await json(`/v1/leaders?span=${span}&of=people`);
      assert.equal(count, 6);
      const expected = people.map(({ name, key, earned }, at) => [`${at + 1}`, name ?? key.slice(0, 12), points(earned)]);
      assert.ok(expected.some(([, name]) => name === 'Ada L.'));
      const shown = async () => assert.deepEqual(await rows('People by points'), expected) ?? true;
      await until(`people of ${span}`, shown, 30_000);
      await page.click('input[value=teams] + span');
      const { teams: [{ earned }] } = await json(`/v1/leaders?span=${span}&of=teams`);
      const teams = async () => assert.deepEqual(await rows('Teams by points'), [['1', 'Tea drinkers', '2', points(earned)]]) ?? true;
      await until(`teams of ${span}`, teams, 30_000);
    }

    // From the team to a member, and what it was for.
    await page.click(`a[href="#/team/${team.id}"]`);
    await says(page, '[aria-label="Members by points"]', 'Bob', 30_000);
    assert.deepEqual((await rows('Members by points')).map(([, name]) => name), ['Bob', 'Ada L.']);
    await page.click(`a[href="#/account/${bob.key}"]`);
    await says(page, '.facts', 'Tea drinkers', 30_000);
    assert.ok((await text(page, '.figures')).includes(`Points${points(total)}`));
    for (const fact of [`Verified work${points(earned.work)}`, `Campaigns${points(earned.campaign)}`]) {
      assert.ok((await text(page, '.facts')).includes(fact), fact);
    }
    await says(page, '[aria-label=Postings]', 'campaign', 30_000);
    await goto(page, relay, `#/account/${ada.key}`);
    await says(page, '.facts', `Invitations${points(invited)}`, 30_000);
    await says(page, '.facts', 'People invited1', 30_000);

    const { work: done, count } = await json(`/v1/campaigns/${campaign}`);
    await goto(page, relay, '#/campaigns');
    await page.waitForSelector(`a[href="#/campaign/${campaign}"]`);
    await page.click(`a[href="#/campaign/${campaign}"]`);
    await says(page, 'main', `${points(done)} of 1 points`, 30_000);
    assert.deepEqual([count, (await rows('Who did most')).length], [5, 5]);
    await goto(page, relay, `#/invite/${code}`);
    await says(page, 'main', 'Ada L. invites you', 30_000);
    assert.match(await text(page, 'main'), /gets 5% of them on top/);

    // Whom the operator should look at.
    await enter(page, relay, operatorKey(relay));
    await says(page, '[aria-label=Suspects]', 'one network with the inviter', 30_000);
    const suspects = await rows('Suspects');
    const why = person => suspects.filter(([key]) => key === person.key.slice(0, 12)).map(([, why]) => why);
    assert.deepEqual(why(cleo), ['who was invited is in one network with the inviter']);
    assert.match(`${why(eve)} ${why(finn)}`, /ring of invitations/);
    assert.deepEqual([why(ada), why(bob), why(dan)], [[], [], []]);
    assert.deepEqual(page.complaints, []);
  },

  async 'people are shown, whatever they call themselves'(t) {
    const answers = structuredClone(ANSWERS);
    answers[`/v1/accounts/${KEY}`].name = NAME;
    const relay = await inBetween(t, await t.relay(), answers);
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
    assert.match(await text(page, 'main'), /gets 5% of them on top/);
    assert.equal(await page.$eval('a.button', link => link.getAttribute('href')), `node/#invite=${CODE}`);
    answers[`/v1/invitations/${CODE}`].open = false;
    await goto(page, relay, '#/');
    await goto(page, relay, `#/invite/${CODE}`);
    await says(page, 'main', 'has ended', 30_000);
    assert.equal(await page.$eval('a.button', link => link.closest('div').hidden), true);
    await goto(page, relay, '#/invite/zzzzzzzzzzzz');
    await says(page, '.notice', 'no such thing', 30_000);
    await goto(page, relay, '#/invite/x');
    await says(page, 'h1', 'no such page', 30_000);
  },
};
