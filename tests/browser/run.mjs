// Runs the browser tests: `node run.mjs [--only NAME]... [--json]`.
import { options } from './lib/args.mjs';
import { Browser } from './lib/browser.mjs';
import { Firefox } from './lib/firefox.mjs';
import { Relay } from './lib/relay.mjs';
import { removed, within } from './lib/wait.mjs';

/** Files whose tests run one after the other; the second row's mostly wait for browsers' clocks. */
const LANES = [
  ['switch', 'jobs', 'isolation', 'hostile', 'lies', 'recovery', 'popup', 'options', 'account', 'team', 'welcome', 'words', 'upgrade', 'infer', 'firefox-full', 'android', 'packages', 'pages', 'submit', 'operate', 'offline', 'people', 'looks', 'tab', 'widget', 'hosts', 'everywhere', 'yield', 'setup', 'strangers'],
  ['lifetime'],
];
/** They measure, so they get the machine to themselves, afterwards. */
const ALONE = ['pace', 'manners'];
const LIMIT = 180_000;
const given = options();

/** What a test gets: whatever it starts here ends with it. */
class Test {
  #ends = [];
  options = given;

  after(end) {
    this.#ends.unshift(end);
  }

  async relay(how) {
    const relay = await Relay.start(given.relayBin, how);
    this.after(() => relay.stop());
    return relay;
  }

  async browser(extension = given.ext, flags = []) {
    const browser = await Browser.start(extension, flags);
    this.after(() => browser.stop());
    return browser;
  }

  async firefox(extension = given.firefox) {
    const browser = await Firefox.start(extension);
    this.after(() => browser.stop());
    return browser;
  }

  /** A relay, an owner, and a browser that has joined. */
  async network({ extension, counted, ...settings } = {}) {
    const [relay, browser] = await Promise.all([this.relay({ counted }), this.browser(extension)]);
    const owner = relay.owner();
    await browser.switchOn(relay.url, settings);
    return { relay, owner, browser };
  }

  folder(path) {
    this.after(() => removed(path));
    return path;
  }

  async end() {
    for (const end of this.#ends) await end();
  }
}

const counts = { passed: 0, failed: 0, skipped: 0 };
const results = [];

async function run(name, body) {
  const started = Date.now();
  const test = new Test();
  let why;
  try {
    await within('the test', LIMIT, body(test));
  } catch (error) {
    why = String(error.stack ?? error);
  } finally {
    await test.end().catch(error => (why ??= `cleaning up: ${error}`));
  }
  counts[why ? 'failed' : 'passed'] += 1;
  results.push({ name, ms: Date.now() - started, ...(why && { why }) });
  if (!given.json) console.log(why ? `FAIL ${name}: ${why}` : `ok ${name} (${Date.now() - started} ms)`);
}

async function lane(files) {
  for (const file of files) {
    const { default: tests } = await import(`./cases/${file}.mjs`);
    for (const [title, body] of Object.entries(tests)) {
      const name = `${file}: ${title}`;
      if (!given.only.length || given.only.some(part => name.includes(part))) await run(name, body);
    }
  }
}

await Promise.all(LANES.map(lane));
await lane(ALONE);
if (given.json) console.log(JSON.stringify({ ...counts, results }));
else console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed || !results.length ? 1 : 0);
