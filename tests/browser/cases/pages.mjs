// What the relay's pages show and check, in Chromium and in Firefox.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { accessible } from '../lib/accessible.mjs';
import {
  ENGINES, altered, choose, flip, goto, held, inBetween, pageIn, proof, says, swarm, text, timed, verdict,
  worked,
} from '../lib/pages.mjs';
import { fnv } from '../lib/modules.mjs';
import { until } from '../lib/wait.mjs';

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
  await until('all results are listed', async () => (await page.$$('[aria-label=Results] tbody tr')).length === 24, 30_000);
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

const refuse = (status, code) => (_, answer) => answer.writeHead(status, { 'content-type': 'application/json' })
  .end(JSON.stringify({ error: { code, message: `${code}, said the relay` } }));
const rows = page => page.$$eval('[aria-label=Results] tbody tr', rows => rows.map(row => row.cells[0].textContent));
const listed = (page, names) => until(`the results are ${names}`, async () => (
  JSON.stringify(await rows(page)) === JSON.stringify(names)), 30_000);

tests['on a slow line a job\'s results come once each, and what nobody waits for is ended'] = async t => {
  const relay = await t.relay();
  const id = 'a'.repeat(32);
  const job = { id, name: 'slow', state: 'running', created_ms: 1, tasks: 3, done: 2, spent: 5, budget: 9 };
  const line = seq => `${JSON.stringify({
    seq, standing: 'canonical', index: seq, name: `task ${seq}`, output: 'A'.repeat(60_000),
    receipt: { body: { node: '7'.repeat(64), reason: 'exit', exit_code: 0, fuel: 5 } },
  })}\n`;
  const results = held('application/x-ndjson');
  let asked = 0;
  const answers = {
    [`/v1/jobs/${id}`]: (_, answer) => {
      asked += 1;
      answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(job));
    },
    [`/v1/jobs/${id}/results?after=0`]: results.hold,
  };
  const slow = await inBetween(t, relay, answers);
  const page = await pageIn(t, 'chromium');
  const pass = await timed(page);
  await goto(page, slow, `#/job/${id}`);
  await page.waitForSelector('#owner');
  await page.type('#owner', 'grid_key');
  await page.keyboard.press('Enter');
  await until('results are asked for', () => results.asked === 1, 30_000);
  // What is there is shown; nothing is asked for again before it came.
  await says(page, 'main', '2 of 3 tasks settled', 30_000);
  for (let at = 0; at < 3; at += 1) await pass();
  results.last.write(line(4));
  await listed(page, ['task 4']);
  for (let at = 0; at < 3; at += 1) await pass();
  results.last.end(line(6));
  await listed(page, ['task 4', 'task 6']);
  assert.deepEqual([asked, results.asked], [1, 1]);
  // Nothing new: no results are asked for. Then one: only that.
  const [before, later] = [asked, held('application/x-ndjson')];
  answers[`/v1/jobs/${id}/results?after=6`] = later.hold;
  await until('it asks again', async () => { await pass(); return asked > before; }, 30_000);
  assert.equal(later.asked, 0);
  // It has two more: one is on its way for long.
  Object.assign(job, { done: 4, tasks: 4 });
  await until('the new one is asked for', async () => { await pass(); return later.asked === 1; }, 30_000);
  later.last.write(line(9));
  await listed(page, ['task 4', 'task 6', 'task 9']);
  assert.equal(results.asked, 1);
  // The page is left while it waits.
  assert.equal(later.open.size, 1);
  await goto(page, slow, '#/check');
  await until('the request is ended', () => later.open.size === 0, 30_000);
  assert.deepEqual(page.complaints, []);
};

tests['an owner ends a job, after a second click'] = async t => {
  const relay = await t.relay();
  const owner = relay.owner();
  // Nobody is there to compute it.
  const { id } = await owner.submit(fnv(4), [{}], { name: 'endless' });
  const page = await pageIn(t, 'chromium');
  const press = async words => {
    const buttons = await page.$$('main button');
    const said = await Promise.all(buttons.map(button => button.evaluate(element => element.textContent)));
    assert.ok(said.includes(words), `${words} in ${said}`);
    await buttons[said.indexOf(words)].click();
  };
  await goto(page, relay, `#/job/${id}`);
  await page.waitForSelector('#owner');
  await page.type('#owner', owner.key);
  await page.keyboard.press('Enter');
  await says(page, 'main', '0 of 1 tasks settled', 30_000);
  await press('End this job');
  await says(page, '.verdict', 'End this job?', 30_000);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'End this job?');
  await accessible(page, 'job-end');
  await press('Let it run');
  await until('nothing waits', async () => !await page.$('.verdict'), 30_000);
  assert.equal((await owner.job(id)).state, 'running');
  await press('End this job');
  await page.waitForSelector('.verdict');
  await press('End it');
  await says(page, '.tag', 'cancelled', 30_000);
  assert.equal((await owner.job(id)).state, 'cancelled');
  assert.equal((await text(page, 'main')).includes('End this job'), false);
  assert.deepEqual(page.complaints, []);
};

tests['a key is asked with once it was given, and no more once it is refused'] = async t => {
  const relay = await t.relay();
  const keys = [];
  let good = 'grid_good';
  const jobs = [];
  const between = await inBetween(t, relay, {
    '/v1/jobs': (request, answer) => {
      keys.push(request.headers.authorization.slice(7));
      if (keys.at(-1) !== good) return refuse(401, 'unauthorized')(request, answer);
      answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(jobs));
    },
  });
  const page = await pageIn(t, 'chromium');
  const pass = await timed(page);
  await goto(page, between, '#/job');
  await page.waitForSelector('#owner');
  await page.type('#owner', 'grid_');
  for (let at = 0; at < 3; at += 1) await pass();
  await page.type('#owner', 'bad');
  await page.keyboard.press('Enter');
  await says(page, '.notice', 'unauthorized, said the relay', 30_000);
  for (let at = 0; at < 3; at += 1) await pass();
  await page.$eval('#owner', input => { input.value = ''; });
  await page.type('#owner', good);
  await page.click('button[type=submit]');
  await says(page, 'main', 'No jobs yet.', 30_000);
  assert.deepEqual(keys, ['grid_bad', good]);
  jobs.push({ id: 'b'.repeat(32), name: 'mine', state: 'running', created_ms: 1, tasks: 1, done: 0 });
  await until('the job is listed', async () => { await pass(); return (await text(page, 'main')).includes('mine'); }, 30_000);
  // Revoked: what it showed is gone, and nothing is asked with it again.
  good = 'grid_other';
  await until('it is refused', async () => { await pass(); return await page.$('.notice'); }, 30_000);
  assert.equal((await text(page, 'main')).includes('mine'), false);
  const asked = keys.length;
  for (let at = 0; at < 3; at += 1) await pass();
  await page.$eval('#owner', input => { input.value = ''; });
  await page.type('#owner', good);
  await page.click('button[type=submit]');
  await says(page, 'main', 'mine', 30_000);
  assert.equal(keys[asked], good);
  assert.deepEqual(page.complaints.filter(line => !/401/.test(line)), []);
};

/** An event of `/v1/live`. */
const live = more => ({
  time_ms: Date.now(), relay: '1'.repeat(64), version: '0', nodes_online: 7, kinds: [], nodes: [],
  tasks_waiting: 0, tasks_leased: 0, tasks_settled: 3, tasks_provisional: 1, settled_10_s: 0, fuel: 5, settled: [],
  ...more,
});
const tell = (stream, event) => stream.last.write(`data: ${JSON.stringify(live(event))}\n\n`);
const GROWS = 'The relay still reads its older entries: the figures grow.';

tests['figures that are not all there yet are called so, and asked for until they are'] = async t => {
  const relay = await t.relay();
  const stream = held('text/event-stream');
  const step_ms = 60_000;
  const moments = [6, 12, 18, 1].map((settled, at) => ({ from_ms: at * step_ms, receipts: 0, settled, checked: 0, fuel: 0 }));
  const answers = {
    '/v1/live': stream.hold,
    '/v1/history?span=hour': { step_ms, complete: false, moments },
    '/v1/leaders?span=all&of=nodes': { from_ms: 0, complete: false, nodes: [], count: 1, seq: 1 },
  };
  const page = await pageIn(t, 'chromium');
  const pass = await timed(page);
  const between = await inBetween(t, relay, answers);
  await goto(page, between, '');
  await until('it listens', () => stream.asked === 1, 30_000);
  const settled = time_ms => ({ seq: time_ms, time_ms, node: '7'.repeat(64), reason: 'exit', fuel: 5, agree: 1, lost: 0 });
  tell(stream, { complete: false, settled: [settled(Date.now()), settled(Date.now() - 25 * 3_600_000)] });
  await says(page, '.stream', 'Live', 30_000);
  await says(page, 'main', GROWS, 30_000);
  // What settled on another day says on which.
  const times = await page.$$eval('[aria-label="Receipts as they settle"] tbody tr', rows => rows.map(row => row.cells[0].textContent));
  assert.match(times[0], /^\d\d:\d\d:\d\d$/);
  assert.match(times[1], /^\d\d\/\d\d\/\d{4} \d\d:\d\d:\d\d$/);
  // The moment that is not over is no fall of the line, but counts.
  const chart = await until('the chart is drawn', () => page.$eval('grid-chart', chart => JSON.parse(chart.getAttribute('data'))), 30_000);
  assert.deepEqual(chart.lines[0], ['Settled', [100, 200, 300]]);
  await says(page, '.charts output', '37 tasks', 30_000);
  tell(stream, {});
  assert.ok((await text(page, 'main')).includes(GROWS), 'the charts are not complete');
  answers['/v1/history?span=hour'] = { step_ms, complete: true, moments };
  await until('it says so no more', async () => { await pass(); return !(await text(page, 'main')).includes(GROWS); }, 30_000);

  await goto(page, between, '#/leaders');
  await says(page, 'main', `1 node earned something. ${GROWS}`, 30_000);
  answers['/v1/leaders?span=all&of=nodes'] = { from_ms: 0, complete: true, nodes: [], count: 2, seq: 9 };
  await until('they are asked for again', async () => { await pass(); return (await text(page, 'main')).includes('2 nodes earned something.'); }, 30_000);
  assert.equal((await text(page, 'main')).includes(GROWS), false);
  assert.deepEqual(page.complaints, []);
};

tests['the stream is open while its page is seen, and opened anew when it falls silent'] = async t => {
  const relay = await t.relay();
  const stream = held('text/event-stream');
  const page = await pageIn(t, 'chromium');
  const pass = await timed(page);
  await goto(page, await inBetween(t, relay, { '/v1/live': stream.hold }), '');
  await until('it listens', () => stream.asked === 1, 30_000);
  tell(stream);
  await says(page, '.stream', 'Live', 30_000);
  const see = hidden => page.evaluate(hidden => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
  }, hidden);
  await see(true);
  await until('it is closed', () => stream.open.size === 0, 30_000);
  await pass(60_000);
  await see(false);
  await until('it listens again', () => stream.asked === 2 && stream.open.size === 1, 30_000);
  tell(stream, { nodes_online: 8 });
  await until('it is told', () => page.$eval('.figures dd', figure => figure.textContent === '8'), 30_000);
  // Not a word for 40 s is nothing; for 10 s more, the line is dead.
  await pass(40_000);
  assert.deepEqual([stream.asked, stream.open.size], [2, 1]);
  await pass(10_000);
  await until('another one is open', () => stream.asked === 3 && stream.open.size === 1, 30_000);
  assert.deepEqual(page.complaints, []);
};

for (const engine of ENGINES) {
  tests[`a relay that many watch is not off line (${engine})`] = async t => {
    const relay = await t.relay();
    await swarm(t, relay, 2);
    const full = refuse(503, 'busy');
    let asked = 0;
    const answers = { '/v1/live': (...both) => { asked += 1; full(...both); } };
    const page = await pageIn(t, engine);
    const pass = await timed(page);
    await until('both nodes are there', async () => (await relay.network()).nodes_online === 2, 30_000);
    await goto(page, await inBetween(t, relay, answers), '');
    await says(page, '.stream', 'Every half minute', 30_000);
    await says(page, '[role=alert]', 'Many watch this relay now', 30_000);
    const figures = await text(page, '.figures');
    assert.ok(figures.includes('Nodes on line2') && figures.includes('Tasks settled a second–'), figures);
    // It is not asked at every turn.
    const before = asked;
    for (let at = 0; at < 3; at += 1) await pass(5_000);
    assert.equal(asked, before);
    delete answers['/v1/live'];
    await until('the stream is there', async () => { await pass(31_000); return (await text(page, '.stream')).includes('Live'); }, 30_000);
    assert.equal(await page.$('.notice'), null);
    assert.deepEqual(page.complaints.filter(line => !/503|can.t establish|live/i.test(line)), []);
  };
}

export default tests;
