// What the relay's pages show and check, in Chromium and in Firefox.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  ENGINES, altered, choose, flip, goto, inBetween, pageIn, proof, says, text, verdict, worked,
} from '../lib/pages.mjs';

const STEPS = ['file', 'relay', 'checkpoint', 'inclusion', 'quorum'];

const tests = {};
for (const engine of ENGINES) {
  tests[`a proof is checked off line (${engine})`] = async t => {
    const network = await worked(t);
    const file = proof(t, network);
    const page = await pageIn(t, engine);
    await goto(page, network.relay, '#/check');
    await says(page, '[role=status]', 'Ready');
    // From here on there is no relay to reach.
    network.relay.process.kill('SIGKILL');
    await network.relay.ended;
    await assert.rejects(page.evaluate(() => fetch('/healthz').then(answer => answer.text())));

    await choose(page, file);
    assert.deepEqual(await verdict(page, true), STEPS.map(step => [step, 'good']));
    assert.match(await text(page, '.facts'), new RegExp(network.job));
    const said = [
      ['job', content => { content.settled.leaf = flip(content.settled.leaf); }, 'inclusion'],
      ['receipt', content => { content.votes[0].leaf = flip(content.votes[0].leaf); }, 'inclusion'],
      ['path', content => { content.settled.inclusion[0] = flip(content.settled.inclusion[0]); }, 'inclusion'],
      ['quorum', content => { content.votes.pop(); }, 'quorum'],
      ['relay', content => { content.relay = '0'.repeat(64); }, 'checkpoint'],
      ['root', content => {
        const lines = content.checkpoint.split('\n');
        lines[2] = `A${lines[2].slice(1)}`;
        content.checkpoint = lines.join('\n');
      }, 'checkpoint'],
      ['version', content => { content.grid_proof = 2; }, 'file'],
    ];
    for (const [name, change, fails] of said) {
      await choose(page, altered(file, name, change));
      await says(page, '.verdict', `${name}.json`);
      const found = await verdict(page, false);
      assert.equal(found.find(([, state]) => state === 'bad')?.[0], fails, `${name}: ${found}`);
      assert.equal(await page.$('.facts'), null, 'nothing is proven');
    }
    // Dropped, not chosen; and against another relay's key.
    await page.evaluate(json => {
      const data = new DataTransfer();
      data.items.add(new File([json], 'dropped.json'));
      document.querySelector('.drop').dispatchEvent(new DragEvent('drop', { dataTransfer: data, cancelable: true }));
    }, readFileSync(file, 'utf8'));
    await says(page, '.verdict', 'dropped.json');
    await verdict(page, true);
    await page.click('.more summary');
    await page.type('#key', 'ab'.repeat(32));
    await page.keyboard.press('Tab');
    const found = await verdict(page, false);
    assert.deepEqual(found[1], ['relay', 'bad']);
  };

  tests[`a proof is made from the log, the log recomputed (${engine})`] = async t => {
    const { relay } = await worked(t);
    const page = await pageIn(t, engine);
    await goto(page, relay, '');
    await says(page, '.stream', 'Live');
    await page.waitForSelector('tbody a[href^="#/check/"]');
    const entry = await page.$eval('tbody a[href^="#/check/"]', link => link.hash.split('/')[2]);
    await goto(page, relay, `?task=${entry}`);
    assert.deepEqual(await verdict(page, true), STEPS.map(step => [step, 'good']));

    // An acknowledgement names a receipt's entry, which leads to its task's proof.
    const places = await Promise.all(Array.from({ length: entry }, async (_, at) => {
      const answer = await fetch(`${relay.url}/v1/receipts/${at + 1}`);
      return answer.ok ? answer.json() : { status: answer.status };
    }));
    assert.equal(places[entry - 1].status, 404, 'a settlement is no receipt');
    const { seq } = places.find(place => place.settled === Number(entry));
    await goto(page, relay, `#/check/${seq}`);
    await says(page, '.hint + ol, .verdict', `proof-${seq}.json`, 60_000);
    assert.deepEqual(await verdict(page, true), STEPS.map(step => [step, 'good']));

    await goto(page, relay, '#/audit');
    await page.waitForSelector('button.main');
    await page.click('button.main');
    await page.waitForSelector('.verdict', { timeout: 60_000 });
    assert.equal(await page.$eval('.verdict', it => it.dataset.ok), 'true', await text(page, '.verdict'));
    const { nodes } = await (await fetch(`${relay.url}/v1/points`)).json();
    assert.equal((await page.$$('.verdict tbody tr')).length, nodes.length);
    assert.deepEqual(page.complaints, []);
  };
}

tests['a relay whose word is not what its log makes it is shown to'] = async t => {
  const { relay } = await worked(t);
  const page = await pageIn(t, 'chromium');
  const liked = '7'.repeat(64);
  const paid = { work: 5_000_000_000, site: 0, invited: 0, campaign: 0, availability: 0, reliability: 0 };
  const leaders = 'v1/leaders?span=week&of=people';
  // What each altered answer is told of.
  const lies = [
    ['/v1/points', said => said.nodes.push({ node: liked, fuel: 5_000_000_000, tasks: 3 }),
      `node ${liked}: the relay says 5000000000 fuel for 3 tasks, the log makes it 0 for 0`],
    ['/v1/ledger', said => said.people.push({ key: liked, points: paid }),
      `work of person ${liked}: the relay says 5000000000, the log makes it 0`],
    [`/${leaders}`, said => said.people.unshift({ key: liked, name: null, earned: 5_000_000_000 }),
      `at place 1 the relay has ${liked} with 5000000000 fuel, the log makes it `],
  ];
  const answers = {};
  const generous = await inBetween(t, relay, answers);
  await goto(page, generous, '#/audit');
  await page.waitForSelector('button.main');
  const recompute = async ok => {
    await page.click('button.main');
    await page.waitForSelector(`.verdict[data-ok="${ok}"]`, { timeout: 60_000 });
    return page.$$eval('.problems li', items => items.map(item => item.textContent));
  };
  for (const [path, alter, words] of lies) {
    answers[path] = async (_, answer) => {
      const said = await (await fetch(relay.url + path)).json();
      alter(said);
      answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said));
    };
    const problems = await recompute(false);
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0], new RegExp(`^${path.replace('?', '\\?')}, after entry \\d+: `));
    assert.ok(problems[0].includes(words), problems[0]);
    delete answers[path];
  }
  assert.deepEqual(await recompute(true), []);
  const held = await text(page, '.verdict .facts');
  for (const path of ['/v1/points', '/v1/ledger', `/${leaders}`]) assert.ok(held.includes(path), held);
};

tests['an owner follows a job and gets its results'] = async t => {
  const { relay, owner, job } = await worked(t);
  const page = await pageIn(t, 'chromium');
  const keys = [];
  page.on('request', request => {
    if (request.url().includes(owner.key)) keys.push(request.url());
  });
  await goto(page, relay, '#/job');
  await page.waitForSelector('#owner');
  await page.type('#owner', 'grid_nobody');
  await page.click('button[type=submit]');
  await page.waitForSelector('.notice');
  await page.$eval('#owner', input => { input.value = ''; });
  await page.type('#owner', owner.key);
  await page.click('button[type=submit]');
  await page.waitForSelector(`a[href="#/job/${job}"]`);
  await page.click(`a[href="#/job/${job}"]`);
  await says(page, 'main', '24 of 24 tasks settled');
  assert.equal((await page.$$('[aria-label=Results] tbody tr')).length, 24);
  assert.deepEqual(keys, [], 'the key is in no address');
};

tests['the stream comes back with the relay'] = async t => {
  const { relay } = await worked(t);
  const page = await pageIn(t, 'chromium');
  await goto(page, relay, '');
  await says(page, '.stream', 'Live');
  relay.process.kill('SIGKILL');
  await relay.ended;
  await says(page, '.stream', 'lost');
  await relay.serve(relay.address);
  await says(page, '.stream', 'Live', 30_000);
};

export default tests;
