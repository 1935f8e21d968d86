// Command line and paths shared by run, demo and bench.
import { existsSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');

const OPTIONS = {
  json: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
  only: { type: 'string', multiple: true, default: [] },
  relay: { type: 'string' },
  rounds: { type: 'string', default: '6' },
  browsers: { type: 'string', default: '1' },
  ext: { type: 'string', default: join(root, 'dist/chrome') },
  firefox: { type: 'string', default: join(root, 'dist/firefox') },
  dist: { type: 'string', default: join(root, 'dist') },
  'relay-bin': { type: 'string', default: join(target, 'debug/grid-relay') },
  'grid-bin': { type: 'string', default: join(target, 'debug/grid') },
};

export function options() {
  const { values } = parseArgs({ options: OPTIONS });
  if (!existsSync(join(values.ext, 'manifest.json'))) {
    throw new Error(`${values.ext} is no extension: run \`cargo xtask ext\``);
  }
  return { ...values, root, target, relayBin: values['relay-bin'], gridBin: values['grid-bin'] };
}

/** The browser: CHROMIUM, or what the PATH has. */
export function chromiumPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    } catch { /* The next one. */ }
  }
  throw new Error('no Chromium: install Debian\'s package chromium, or set CHROMIUM');
}
