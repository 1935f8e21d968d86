// The relay's pages in a browser without the extension: Chromium or Firefox,
// both through puppeteer, so that one test is for both.
import puppeteer from 'puppeteer-core';
import { execFileSync, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { firefoxPath, PREFERENCES } from '../../engines/lib/firefox.mjs';
import { chromiumPath } from './args.mjs';
import { FLAGS } from './browser.mjs';
import { fnv } from './modules.mjs';
import { until } from './wait.mjs';

export const ENGINES = ['chromium', 'firefox'];

/** A page of a fresh browser, and what it complained about. */
export async function pageIn(t, engine) {
  const browser = await puppeteer.launch(engine === 'firefox'
    ? { browser: 'firefox', executablePath: firefoxPath(), headless: true, extraPrefsFirefox: PREFERENCES }
    : { executablePath: chromiumPath(), headless: true, pipe: true, args: FLAGS.slice(1) });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.complaints = [];
  page.on('pageerror', error => page.complaints.push(String(error)));
  page.on('console', message => {
    if (['error', 'warn', 'warning'].includes(message.type())) page.complaints.push(message.text());
  });
  return page;
}

export const text = (page, selector) => page.$eval(selector, element => element.textContent);

/** Waits until the element says so. */
export const says = (page, selector, part, ms) => until(
  `${selector} says ${part}`, async () => (await text(page, selector)).includes(part), ms);

/** Simulated nodes that work for the relay. */
export async function swarm(t, relay, nodes = 4) {
  const process = spawn(join(dirname(t.options.relayBin), 'grid-swarm'), [
    '--relay', relay.url, '--nodes', String(nodes), '--seconds', '600',
  ], { stdio: 'ignore' });
  t.after(() => new Promise(done => { process.once('exit', done); process.kill(); }));
}

/** A relay with work done by simulated nodes: `{relay, owner, job}`. */
export async function worked(t, { tasks = 24, nodes = 4 } = {}) {
  const relay = await t.relay();
  const owner = relay.owner();
  await swarm(t, relay, nodes);
  const inputs = Array.from({ length: tasks }, (_, at) => ({ stdin: Buffer.from(`input ${at}`) }));
  const { id } = await owner.submit(fnv(400), inputs, { name: 'words' });
  await until('the job is done', async () => (await owner.job(id)).state === 'done', 60_000);
  return { relay, owner, job: id };
}

/** A proof file, as its owner makes it. */
export function proof(t, { relay, owner, job }, task = '0') {
  const file = join(t.folder(mkdtempSync(join(tmpdir(), 'grid-proof-'))), 'proof.json');
  execFileSync(t.options.gridBin, ['prove', job, task, '--relay', relay.url, '--out', file], {
    env: { ...process.env, GRID_KEY: owner.key, XDG_CONFIG_HOME: dirname(file), HOME: dirname(file) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return file;
}

export const goto = (page, relay, fragment) => page.goto(`${relay.url}/${fragment}`);
export const choose = async (page, file) => (await page.$('#file')).uploadFile(file);

/** What the page says of a proof: each step and how it went. */
export async function verdict(page, ok) {
  await page.waitForSelector(`.verdict[data-ok="${ok}"]`, { timeout: 60_000 });
  return page.$$eval('.steps li', steps => steps.map(step => [step.dataset.step, step.className]));
}

/** The file, with something changed. */
export function altered(file, name, change) {
  const content = JSON.parse(readFileSync(file, 'utf8'));
  change(content);
  const path = join(dirname(file), `${name}.json`);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

export const flip = hex => (hex[0] === '0' ? '1' : '0') + hex.slice(1);

/**
 * From the next document on the page's time is ours: `pass(ms)` moves its clock on, and lets everything
 * that is done again and again happen once.
 */
export async function timed(page) {
  await page.evaluateOnNewDocument(() => {
    const now = Date.now;
    const ticks = new Map();
    let [later, last] = [0, 0];
    Date.now = () => now() + later;
    window.setInterval = tick => {
      ticks.set(last += 1, tick);
      return last;
    };
    window.clearInterval = id => ticks.delete(id);
    window.pass = ms => {
      later += ms;
      for (const tick of [...ticks.values()]) tick();
    };
  });
  return (ms = 0) => page.evaluate(ms => window.pass(ms), ms);
}

/** An answer that is written as the test says: `hold` answers, `open` has those that are not over. */
export function held(type) {
  const open = new Set();
  const heard = { asked: 0, open, last: undefined };
  heard.hold = (request, answer) => {
    heard.asked += 1;
    heard.last = answer;
    open.add(answer);
    answer.on('close', () => open.delete(answer));
    answer.writeHead(200, { 'content-type': type });
    answer.flushHeaders();
  };
  return heard;
}

/**
 * The relay with some answers of ours, by path: what is sent as JSON, or a function of request,
 * answer and body that answers. Not by interception: a worker's requests pass that by. `upgrade`: who
 * takes a socket, which otherwise is none.
 */
export async function inBetween(t, relay, answers, upgrade) {
  const between = createServer(async (request, answer) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const own = answers[request.url];
    if (typeof own === 'function') return own(request, answer, Buffer.concat(chunks));
    if (own) return answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(own));
    const { authorization } = request.headers;
    const real = await fetch(relay.url + request.url, { headers: authorization ? { authorization } : {} });
    const headers = Object.fromEntries([...real.headers].filter(([name]) => (
      !['content-encoding', 'content-length', 'transfer-encoding'].includes(name))));
    answer.writeHead(real.status, headers);
    if (real.headers.get('content-type') === 'text/event-stream') {
      // It never ends by itself.
      answer.on('close', () => real.body.cancel().catch(() => {}));
      for await (const piece of real.body) answer.write(piece);
      return answer.end();
    }
    return answer.end(Buffer.from(await real.arrayBuffer()));
  });
  if (upgrade) between.on('upgrade', upgrade);
  await new Promise(done => between.listen(0, '127.0.0.1', done));
  t.after(() => { between.close(); between.closeAllConnections(); });
  return { ...relay, url: `http://127.0.0.1:${between.address().port}` };
}
