// The packages as stores and people get them: zip files, made by `cargo xtask ext --zip`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { chromiumPath } from '../lib/args.mjs';
import { Browser, FLAGS } from '../lib/browser.mjs';
import { Firefox } from '../lib/firefox.mjs';
import { fnv, fnvOf } from '../lib/modules.mjs';
import { until } from '../lib/wait.mjs';
import { entries } from '../lib/zip.mjs';

/** What each may do. More would warn whoever has it installed. */
const PERMISSIONS = {
  chrome: ['alarms', 'idle', 'offscreen', 'storage'],
  firefox: ['alarms', 'idle', 'storage'],
  'firefox-full': ['alarms', 'idle', 'storage'],
  android: ['alarms', 'idle', 'storage'],
};
const NAMES = Object.keys(PERMISSIONS);

const temporary = (t, name) => t.folder(mkdtempSync(join(tmpdir(), `grid-${name}-`)));

const json = bytes => JSON.parse(bytes.toString());

function zipOf(t, name) {
  const { version } = json(readFileSync(join(t.options.dist, name, 'manifest.json')));
  return join(t.options.dist, `grid-${name}-${version}.zip`);
}

const filesIn = folder => readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile())
  .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1));

/** A package's zip file as a folder. */
function unpacked(t, name) {
  const folder = temporary(t, name);
  for (const { path, bytes } of entries(readFileSync(zipOf(t, name)))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  return folder;
}

/** Files that a manifest names. */
const named = manifest => [
  ...Object.values(manifest.icons),
  ...Object.values(manifest.action.default_icon),
  manifest.action.default_popup,
  manifest.options_ui?.page,
  manifest.background.service_worker,
  ...(manifest.background.scripts ?? []),
  ...(manifest.sandbox?.pages ?? []),
].filter(Boolean);

export default {
  async 'a zip has what its folder has, and no trace of who made it'(t) {
    for (const name of NAMES) {
      const list = entries(readFileSync(zipOf(t, name)));
      const folder = join(t.options.dist, name);
      const paths = list.map(({ path }) => path);
      assert.deepEqual(paths, [...paths].sort(), `${name} is sorted`);
      assert.deepEqual(paths, filesIn(folder).sort(), name);
      for (const { path, bytes, time, mode } of list) {
        assert.ok(bytes.equals(readFileSync(join(folder, path))), `${name}: ${path}`);
        assert.deepEqual({ time, mode }, { time: 0x00210000, mode: 0o100644 }, `${name}: ${path}`);
        for (const trace of [resolve(t.options.root), homedir(), 'registry/src']) {
          assert.ok(!bytes.includes(trace), `${name}: ${path} names ${trace}`);
        }
      }
      const manifest = json(list.find(({ path }) => path === 'manifest.json').bytes);
      assert.deepEqual(manifest.permissions.sort(), PERMISSIONS[name], name);
      for (const key of ['host_permissions', 'optional_permissions', 'optional_host_permissions', 'content_scripts']) {
        assert.equal(manifest[key], undefined, `${name}: ${key}`);
      }
      assert.deepEqual(named(manifest).filter(path => !paths.includes(path)), [], `${name} has what it names`);
    }
  },

  async 'only packages with a sandbox have what runs modules'(t) {
    for (const name of NAMES) {
      const has = existsSync(join(t.options.dist, name, 'sandbox.html'));
      assert.equal(has, ['chrome', 'firefox-full'].includes(name), name);
      assert.equal(existsSync(join(t.options.dist, name, 'executor-worker.js')), has, name);
    }
  },

  async 'Mozilla\'s linter finds nothing'(t) {
    const program = join(t.options.target, 'web-ext/node_modules/.bin/web-ext');
    for (const [name, more] of [['firefox', []], ['firefox-full', ['--self-hosted']]]) {
      const args = ['lint', '--source-dir', unpacked(t, name), '--no-config-discovery', '--output', 'json', ...more];
      // It ends with 1 when it found errors; what it found is what counts.
      const found = json(execFileSync('sh', ['-c', '"$0" "$@" || true', program, ...args], { stdio: ['ignore', 'pipe', 'ignore'] }));
      const say = list => list.map(({ code, file, message }) => `${code} ${file}: ${message}`);
      assert.deepEqual(say([...found.errors, ...found.warnings, ...found.notices]), [], name);
      assert.equal(found.summary.errors + found.summary.warnings + found.summary.notices, 0);
      assert.equal(found.metadata.id, json(readFileSync(join(t.options.dist, name, 'manifest.json'))).browser_specific_settings.gecko.id);
    }
  },

  async 'Chrome\'s packer takes it'(t) {
    for (const name of ['chrome', 'android']) {
      const folder = temporary(t, 'pack');
      cpSync(unpacked(t, name), join(folder, name), { recursive: true });
      const profile = join(folder, 'profile');
      execFileSync(chromiumPath(), [...FLAGS, `--user-data-dir=${profile}`, `--pack-extension=${join(folder, name)}`], { stdio: 'ignore' });
      const [packed, key] = [join(folder, `${name}.crx`), join(folder, `${name}.pem`)];
      assert.equal(readFileSync(packed).toString('latin1', 0, 4), 'Cr24', name);
      assert.match(readFileSync(key, 'utf8'), /PRIVATE KEY/);
      // The next version is packed with the key of the first.
      execFileSync(chromiumPath(), [...FLAGS, `--user-data-dir=${profile}`, `--pack-extension=${join(folder, name)}`, `--pack-extension-key=${key}`], { stdio: 'ignore' });
      assert.equal(readFileSync(packed).toString('latin1', 0, 4), 'Cr24', name);
    }
  },

  async 'the zip for Chrome works'(t) {
    const relay = await t.relay();
    const browser = await Browser.start(unpacked(t, 'chrome'));
    t.after(() => browser.stop());
    await browser.switchOn(relay.url);
    const result = await relay.owner().run(fnv(), { stdin: 'zip' });
    assert.deepEqual(result.files, { stdout: fnvOf(Buffer.from('zip')) });
  },

  async 'the zip for Firefox installs as it is'(t) {
    const relay = await t.relay();
    const browser = await Firefox.start(zipOf(t, 'firefox'));
    t.after(() => browser.stop());
    await browser.switchOn(relay.url);
    await until('it waits for work', async () => (await browser.view()).why === 'no_work', 60_000);
  },
};
