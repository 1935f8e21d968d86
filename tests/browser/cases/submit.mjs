// Submitting from the page: modules with inputs, prompts, texts to embed.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fnv } from '../lib/modules.mjs';
import { ENGINES, goto, held, inBetween, pageIn, says, swarm, text } from '../lib/pages.mjs';
import { natively, tinyModels } from '../lib/tiny.mjs';
import { until } from '../lib/wait.mjs';
import { entries } from '../lib/zip.mjs';
import { network } from './infer.mjs';

/** Logs the owner in on the page. */
async function asOwner(page, relay, owner, fragment) {
  await goto(page, relay, fragment);
  await page.waitForSelector('#owner');
  await page.type('#owner', owner.key);
  await page.click('button[type=submit]');
}

/** Says where the browser puts what is saved; gives a way to wait for it. */
async function downloads(t, page) {
  const folder = t.folder(mkdtempSync(join(tmpdir(), 'grid-saved-')));
  const session = await page.browser().target().createCDPSession();
  await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: folder });
  return name => until(`${name} is saved`, () => {
    // Chromium adds an ending to what it takes for text.
    const found = readdirSync(folder).find(file => file === name || file === `${name}.txt`);
    if (!found) throw new Error(`there is ${readdirSync(folder)}`);
    return readFileSync(join(folder, found));
  }, 30_000);
}

const tests = {};
for (const engine of ENGINES) {
  tests[`a module and inputs are submitted, results come back (${engine})`] = async t => {
    const relay = await t.relay();
    const owner = relay.owner();
    await swarm(t, relay);
    const folder = t.folder(mkdtempSync(join(tmpdir(), 'grid-inputs-')));
    const file = (name, content) => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    const page = await pageIn(t, engine);
    const addresses = [];
    page.on('request', request => addresses.push(request.url()));
    await asOwner(page, relay, owner, '#/submit');
    await says(page, '[role=status]', 'tests has', 30_000);
    assert.match(await text(page, '.notice'), /can read what you submit/);
    // Without a module it says so.
    await page.click('.submit button[type=submit]');
    await says(page, '.submit + [role=alert]', 'Choose a module first', 30_000);
    // What admission refuses is told with its words.
    await (await page.$('#module')).uploadFile(file('bad.wasm', 'not a module'));
    await says(page, '.chosen', 'bad.wasm', 30_000);
    await page.click('.submit button[type=submit]');
    await says(page, '.submit + [role=alert]', 'magic', 30_000);
    // One is chosen, the other is dropped.
    await (await page.$('#module')).uploadFile(file('words.wasm', fnv(50)));
    await says(page, '.chosen', 'words.wasm', 30_000);
    await page.evaluate(() => {
      const data = new DataTransfer();
      for (const [name, content] of [['a.txt', 'one'], ['b.txt', 'two'], ['../c.txt', 'three']]) {
        data.items.add(new File([content], name));
      }
      const zone = document.querySelector('#inputs').closest('.drop');
      zone.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
    });
    await until('the files are counted', async () => (await text(page, '.submit')).includes('3 files, 11 bytes'), 30_000);
    await page.type('#name', 'from the page');
    await page.click('.submit button[type=submit]');
    await until('the job\'s page', () => page.evaluate(() => location.hash.startsWith('#/job/')), 60_000);
    const id = await page.evaluate(() => location.hash.split('/')[2]);
    await says(page, 'main', '3 of 3 tasks settled', 60_000);
    const { name, tasks } = await owner.job(id);
    assert.deepEqual([name, tasks], ['from the page', 3]);
    const results = await owner.results(id);
    if (engine === 'chromium') {
      const saved = await downloads(t, page);
      await page.waitForSelector('#all');
      await page.click('#all');
      const packed = entries(await saved(`job-${id.slice(0, 12)}.zip`));
      const zip = new Map(packed.map(({ path, bytes }) => [path, bytes]));
      assert.deepEqual([...zip.keys()].sort(), [
        '00000 a-txt/stdout', '00001 b-txt/stdout', '00002 ---c-txt/stdout',
      ]);
      assert.deepEqual(zip.get('00001 b-txt/stdout'), results[1].files.stdout);
      await page.click('[aria-label=Results] tbody tr button');
      const first = await page.$eval('[aria-label=Results] tbody tr', row => row.textContent);
      const index = results.findIndex((_, at) => first.startsWith(['a.txt', 'b.txt', '../c.txt'][at]));
      assert.deepEqual(await saved(`task-${index}-stdout`), results[index].files.stdout);
    }
    assert.deepEqual(addresses.filter(address => address.includes(owner.key)), [], 'the key is in no address');
    assert.deepEqual(page.complaints.filter(text => !/422/.test(text)), []);
  };
}

tests['a prompt is answered as it is written, texts are embedded'] = async t => {
  const relay = await t.relay();
  const owner = relay.owner();
  const asked = [];
  const held = [];
  // The relay with two models whose answers are known.
  const known = await inBetween(t, relay, {
    '/v1/models': { object: 'list', data: [{ id: 'writer', work: 'generate' }, { id: 'reader', work: 'embed' }] },
    '/v1/embeddings': (_, answer, body) => {
      asked.push(JSON.parse(body));
      const data = JSON.parse(body).input.map((_, at) => ({ embedding: [at, 0.5] }));
      answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data }));
    },
    '/v1/chat/completions': (_, answer, body) => {
      asked.push(JSON.parse(body));
      const piece = content => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
      answer.writeHead(200, { 'content-type': 'text/event-stream', 'grid-receipt': `${relay.url}/v1/jobs/${'a'.repeat(32)}/tasks/0/result` });
      // A character that is cut in two.
      const bytes = Buffer.from(piece('Grüße') + piece(' und'));
      const cut = bytes.indexOf(0xc3) + 1;
      answer.write(bytes.subarray(0, cut));
      held.push(() => {
        answer.write(bytes.subarray(cut));
        held.push(() => answer.end(`${piece(' mehr')}data: [DONE]\n\n`));
      });
    },
  });
  const page = await pageIn(t, 'chromium');
  await asOwner(page, known, owner, '#/submit');
  await says(page, '[role=status]', 'tests has', 30_000);
  await page.click('input[value=prompt] + span');
  await page.waitForSelector('#prompt');
  await until('the model is offered', () => page.$eval('#model', select => select.value === 'writer'), 30_000);
  await page.type('#prompt', 'Hallo');
  await page.click('.submit button[type=submit]');
  await until('it was asked', () => held.length === 1, 30_000);
  held.shift()();
  await says(page, '.answer', 'Grüße und', 30_000);
  await page.waitForSelector(`a[href="#/job/${'a'.repeat(32)}"]`);
  assert.ok(!(await text(page, '.answer')).includes('mehr'), 'it comes as it is written');
  await until('the rest is held', () => held.length === 1, 30_000);
  held.shift()();
  await says(page, '.answer', 'Grüße und mehr', 30_000);
  assert.deepEqual([asked[0].model, asked[0].stream, asked[0].messages], ['writer', true, [{ role: 'user', content: 'Hallo' }]]);

  await page.click('input[value=embed] + span');
  await page.waitForSelector('#texts');
  await until('the model is offered', () => page.$eval('#model', select => select.value === 'reader'), 30_000);
  await page.type('#texts', 'first\n\nsay "two"\n');
  await page.click('.submit button[type=submit]');
  await says(page, 'main', '2 vectors of 2 numbers', 30_000);
  assert.deepEqual(asked[1], { model: 'reader', input: ['first', 'say "two"'] });
  const saved = await downloads(t, page);
  const [csv, json] = await page.$$('.submit ~ .row button');
  await csv.click();
  assert.equal((await saved('embeddings.csv')).toString(), '"first",0,0.5\r\n"say ""two""",1,0.5\r\n');
  await json.click();
  assert.deepEqual(JSON.parse(await saved('embeddings.json')), [
    { text: 'first', embedding: [0, 0.5] }, { text: 'say "two"', embedding: [1, 0.5] },
  ]);
  assert.deepEqual(page.complaints, []);
};

for (const engine of ENGINES) {
  tests[`what was stopped, or left, is not waited for (${engine})`] = async t => {
    const relay = await t.relay();
    const owner = relay.owner();
    const [written, embedded] = [held('text/event-stream'), held('application/json')];
    const known = await inBetween(t, relay, {
      '/v1/models': { object: 'list', data: [{ id: 'writer', work: 'generate' }, { id: 'reader', work: 'embed' }] },
      '/v1/embeddings': embedded.hold,
      '/v1/chat/completions': written.hold,
    });
    const page = await pageIn(t, engine);
    await asOwner(page, known, owner, '#/submit');
    await says(page, '[role=status]', 'tests has', 30_000);
    // By the document: a button that waits to be drawn moves.
    const press = selector => page.$eval(selector, button => button.click());
    const ask = async (asked, times) => {
      await press('.submit button[type=submit]');
      await until('it is asked', () => asked.asked === times && asked.open.size === 1, 30_000);
      await until('it can be stopped', () => page.$eval('.submit button[type=button]', button => !button.hidden), 30_000);
    };
    const ended = asked => until('the relay sees that nobody waits', () => asked.open.size === 0, 30_000);
    await press('input[value=embed]');
    await page.waitForSelector('#texts');
    await page.type('#texts', 'one');
    await ask(embedded, 1);
    await press('.submit button[type=button]');
    await ended(embedded);
    await until('it can be asked again', () => page.$eval('.submit button[type=submit]', button => !button.disabled), 30_000);

    await press('input[value=prompt]');
    await page.waitForSelector('#prompt');
    await page.type('#prompt', 'Hallo');
    const piece = content => written.last.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
    await ask(written, 1);
    piece('so far');
    await says(page, '.answer', 'so far', 30_000);
    await press('.submit button[type=button]');
    await ended(written);
    assert.equal(await text(page, '.answer'), 'so far');
    assert.equal(await page.$('.submit .notice'), null);
    // And a page that is left while it waits.
    await ask(written, 2);
    piece('more');
    await says(page, '.answer', 'more', 30_000);
    await goto(page, known, '#/check');
    await ended(written);
    assert.deepEqual(page.complaints, []);
  };
}

/** Numbers of an answer of `embed`: little-endian f32 in base64. */
function floats(base64) {
  const bytes = Buffer.from(base64, 'base64');
  return Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(4 * at));
}

tests['what a real node writes and embeds for the page is what the model does here'] = async t => {
  const { llama, bert } = tinyModels();
  const { relay, owner } = await network(t, [llama, bert]);
  const page = await pageIn(t, 'chromium');
  const saved = await downloads(t, page);
  await asOwner(page, relay, owner, '#/submit');
  await says(page, '[role=status]', 'tests has', 30_000);
  await page.click('input[value=prompt] + span');
  await page.waitForSelector('#prompt');
  await until('the model is offered', () => page.$eval('#model', select => select.value === 'llama'), 30_000);
  await page.type('#prompt', 'abc');
  await page.$eval('#most', input => { input.value = ''; });
  await page.type('#most', '40');
  await page.click('.submit button[type=submit]');
  const messages = [{ role: 'user', content: 'abc' }];
  const { stdout } = natively(llama, 'generate', { messages, max_tokens: 40, temperature: 0 });
  const { text: expected, tokens } = JSON.parse(stdout);
  assert.equal(tokens.length, 40);
  await until('it is answered', async () => await text(page, '.answer') === expected, 120_000);
  // The job's page has the same, settled.
  await page.waitForSelector('a[href^="#/job/"]');
  await page.click('a[href^="#/job/"]');
  await says(page, 'main', '1 of 1 tasks settled', 60_000);
  await page.waitForSelector('[aria-label=Results] tbody tr button');
  await page.click('[aria-label=Results] tbody tr button');
  assert.equal((await saved('task-0-stdout')).toString(), stdout);

  await goto(page, relay, '#/submit');
  await page.waitForSelector('input[value=embed] + span');
  await page.click('input[value=embed] + span');
  await page.waitForSelector('#texts');
  await until('the model is offered', () => page.$eval('#model', select => select.value === 'bert'), 30_000);
  const texts = ['a text of letters', 'another one', 'and a third'];
  await page.type('#texts', texts.join('\n'));
  await page.click('.submit button[type=submit]');
  await says(page, 'main', '3 vectors of 64 numbers', 120_000);
  const { embeddings } = JSON.parse(natively(bert, 'embed', { texts }).stdout);
  const [csv, json] = await page.$$('.submit ~ .row button');
  await json.click();
  const found = JSON.parse(await saved('embeddings.json'));
  // The decimals are those that name one f32.
  const rounded = found.map(({ text, embedding }) => [text, embedding.map(Math.fround)]);
  assert.deepEqual(rounded, texts.map((text, at) => [text, floats(embeddings[at])]));
  await csv.click();
  const lines = (await saved('embeddings.csv')).toString().trim().split('\r\n');
  const numbers = lines.map(line => line.slice(line.indexOf('",') + 2).split(',').map(Number).map(Math.fround));
  assert.deepEqual(numbers, embeddings.map(floats));
  assert.deepEqual(page.complaints, []);
};

export default tests;
