// Runs code in real browsers, driven from Node.js over loopback only.
//
//   const rig = await Rig.start({ files: { '/bench/': 'some/folder/', '/pack': bytes } });
//   try {
//     for (const engine of rig.engines) {                 // Chromium, then Firefox
//       const answer = await engine.call('/bench/page.mjs', 'measure', { runs: 5 });
//       console.log(engine.name, engine.version, answer);
//     }
//   } finally {
//     await rig.stop();
//   }
//
// - `files`: what the server serves. A path that ends in `/` is a folder with
//   all below it; any other is a Buffer, or a function that returns one (or a
//   promise of one). `rig.serve(path, what)` adds one later, `rig.drop(path)`
//   takes it away. `/rig/` is the folder pages/ of this project.
// - `engines`: which browsers; ['chromium', 'firefox'] unless given. There are
//   also 'chromium-optimised', 'firefox-optimised', 'chromium-gpu' and
//   'firefox-gpu' (see COMMANDS).
// - `engine.call(module, name, ...values)`: the page imports the module (an ES
//   module on the server) and calls its export `name`, which may be async.
//   Values and result travel as JSON; bytes are fetched from the server. Rejects
//   with the page's error, when the browser ends, or after `engine.limit`
//   milliseconds (120,000 unless set). One call at a time for each browser; both
//   browsers may work at once.
//
// Pages are cross-origin isolated, so performance.now() counts in steps of 5
// microseconds in Chromium and 20 in Firefox, or less.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromiumPath } from '../../browser/lib/args.mjs';
import { removed, within } from '../../browser/lib/wait.mjs';
import { firefoxPath, PREFERENCES } from './firefox.mjs';

/** A browser whose page has not asked for work by then will not come. */
const START = 60_000;
const CALL = 120_000;
/** A page without work asks again after this: Firefox gives up at 300 s. */
const IDLE = 60_000;
/** Between asking a browser to end and ending it. */
const GRACE = 5_000;

/** What ends us ends the browsers first. */
const SIGNALS = [['SIGINT', 2], ['SIGTERM', 15]];

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

const HEADERS = {
  'Cache-Control': 'no-store',
  'Access-Control-Allow-Origin': '*',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'cross-origin',
};

/** Program and arguments of each kind of browser. Those "optimised" compile everything at once
 * with the compiler that else takes over only what has run often: TurboFan, Ion. Those with a GPU
 * have WebGPU, by the machine's driver or by their own on the processor. */
const COMMANDS = {
  chromium: (profile, url) => chromium(profile, '--disable-gpu', url),
  firefox: (profile, url) => firefox(profile, url),
  'chromium-optimised': (profile, url) => (
    chromium(profile, '--disable-gpu', '--js-flags=--no-liftoff', url)),
  'firefox-optimised': (profile, url) => (
    firefox(profile, url, { 'javascript.options.wasm_baselinejit': false })),
  'chromium-gpu': (profile, url) => chromium(profile, '--enable-unsafe-webgpu', url),
  'firefox-gpu': (profile, url) => (
    firefox(profile, url, { 'dom.webgpu.enabled': true, 'gfx.webgpu.ignore-blocklist': true })),
};

const chromium = (profile, ...more) => [chromiumPath(), [
  '--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-dev-shm-usage', '--disable-extensions', '--no-default-browser-check',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', `--user-data-dir=${profile}`, ...more,
]];

function firefox(profile, url, more = {}) {
  const line = ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`;
  const lines = Object.entries({ ...PREFERENCES, ...more }).map(line);
  writeFileSync(join(profile, 'user.js'), lines.join(''));
  return [firefoxPath(), ['--headless', '--no-remote', '--profile', profile, url]];
}

/** One browser with one page, which does what it is told. */
class Engine {
  limit = CALL;
  #command;
  #wanted;
  #answer;

  constructor(name, origin) {
    this.name = name;
    this.profile = mkdtempSync(join(tmpdir(), `grid-${name}-`));
    const [program, args] = COMMANDS[name](this.profile, `${origin}/rig/rig.html#${name}`);
    // Whatever it keeps in its owner's folder goes with its profile.
    const env = { ...process.env, HOME: this.profile, MOZ_CRASHREPORTER_DISABLE: '1' };
    this.process = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    this.process.stderr.on('data', data => { said = (said + data).slice(-2_000); });
    this.ended = new Promise(done => {
      this.process.once('error', done);
      this.process.once('exit', (code, signal) => done(`${code ?? signal}: ${said}`));
    });
    this.failure = this.ended.then(how => { throw new Error(`${name} ended (${how})`); });
    this.failure.catch(() => {});
  }

  async ready() {
    this.version = await this.#tell('its start', START, { name: 'version', values: [] });
  }

  async call(module, name, ...values) {
    return this.#tell(`${name} of ${module}`, this.limit, { module, name, values });
  }

  #tell(what, limit, command) {
    if (this.#answer) throw new Error(`${this.name} is busy`);
    const answer = new Promise((resolve, reject) => { this.#answer = { resolve, reject }; });
    this.#command = command;
    this.#wanted?.();
    return Promise.race([within(`${this.name}: ${what}`, limit, answer), this.failure]);
  }

  /** The page asks what to do; nothing for now, when no command comes. */
  async next() {
    if (!this.#command) {
      let timer;
      await new Promise(done => {
        this.#wanted = done;
        timer = setTimeout(done, IDLE).unref();
      });
      clearTimeout(timer);
    }
    const command = this.#command;
    this.#command = undefined;
    return command ?? {};
  }

  /** The page says how its command ended. */
  take({ value, error }) {
    const answer = this.#answer;
    this.#answer = undefined;
    if (error === undefined) answer?.resolve(value);
    else answer?.reject(new Error(`${this.name}: ${error}`));
  }

  async stop() {
    this.process.kill('SIGTERM');
    await within(`the end of ${this.name}`, GRACE, this.ended).catch(() => {
      this.process.kill('SIGKILL');
      return this.ended;
    });
    await removed(this.profile);
  }
}

export class Rig {
  engines = [];
  #signals = new Map();
  #files = new Map([['/rig/', fileURLToPath(new URL('../pages/', import.meta.url))]]);
  #server = createServer((request, response) => {
    this.#respond(request, new URL(request.url, 'http://127.0.0.1')).then(
      ([type, body]) => response.writeHead(200, { ...HEADERS, 'Content-Type': type }).end(body),
      error => response.writeHead(404, HEADERS).end(String(error)),
    );
  });

  static async start({ files = {}, engines = ['chromium', 'firefox'] } = {}) {
    const rig = new Rig();
    for (const [signal, number] of SIGNALS) {
      rig.#signals.set(signal, () => rig.stop().finally(() => process.exit(128 + number)));
      process.once(signal, rig.#signals.get(signal));
    }
    for (const [path, what] of Object.entries(files)) rig.serve(path, what);
    await new Promise(done => { rig.#server.listen(0, '127.0.0.1', done); });
    const origin = `http://127.0.0.1:${rig.#server.address().port}`;
    try {
      for (const name of engines) rig.engines.push(new Engine(name, origin));
      await Promise.all(rig.engines.map(engine => engine.ready()));
    } catch (error) {
      await rig.stop();
      throw error;
    }
    return rig;
  }

  serve(path, what) {
    this.#files.set(path, what);
  }

  drop(path) {
    this.#files.delete(path);
  }

  async #respond(request, { pathname, search }) {
    const engine = this.engines.find(({ name }) => search === `?${name}`);
    if (pathname === '/rig/next') return [TYPES['.json'], JSON.stringify(await engine.next())];
    if (pathname === '/rig/answer') {
      const parts = [];
      for await (const part of request) parts.push(part);
      engine.take(JSON.parse(Buffer.concat(parts)));
      return [TYPES['.json'], '{}'];
    }
    return [TYPES[extname(pathname)] ?? 'application/octet-stream', await this.#file(pathname)];
  }

  async #file(path) {
    const exact = this.#files.get(path);
    if (exact !== undefined) return typeof exact === 'function' ? exact() : exact;
    const parts = decodeURIComponent(path);
    if (normalize(parts) !== parts) throw new Error(`${path} leads outside`);
    for (const [prefix, folder] of this.#files) {
      if (prefix.endsWith('/') && parts.startsWith(prefix)) {
        return readFileSync(join(folder, parts.slice(prefix.length)));
      }
    }
    throw new Error(`${path} is not served`);
  }

  async stop() {
    for (const [signal, handle] of this.#signals) process.off(signal, handle);
    await Promise.all(this.engines.map(engine => engine.stop()));
    this.#server.closeAllConnections();
    await new Promise(done => { this.#server.close(done); });
  }
}
